//! The one error type of the crate.

/// What can go wrong. Every variant says what was wrong, with the values, and what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The optimizer refused something.
    #[error(transparent)]
    Optimizer(#[from] lookahead_wgpu::Error),
    /// The optimizer, or a setting, is not one for workers.
    #[error("{what} {problem}")]
    Setting {
        /// What was set.
        what: String,
        /// Why it does not go, and what to do.
        problem: String,
    },
    /// Workers were built otherwise than rank 0.
    #[error(
        "workers differ: rank 0 has `{expected}`, and rank {rank} has `{found}`; start all ranks with one program and \
         the same settings"
    )]
    Differs {
        /// The first rank that differs.
        rank: usize,
        /// Rank 0's line.
        expected: String,
        /// That rank's.
        found: String,
    },
    /// MPI was begun without the threads that an exchange beside steps needs.
    #[error(
        "fragments that are exchanged beside steps need MPI's threads, and MPI was begun with those of `{provided}`: begin \
         it by `mpi::initialize_with_threading(mpi::Threading::Multiple)`, or stream with an overlap of 0"
    )]
    Threads {
        /// What it was begun with.
        provided: String,
    },
    /// The thread that exchanges fragments is no more.
    #[error(
        "the thread that exchanges fragments {problem}; build the workers anew, and `restore` the last checkpoint"
    )]
    Thread {
        /// What became of it.
        problem: String,
    },
    /// Another rank failed, whose own error says why.
    #[error("rank {rank} failed while {doing}; its own error says why")]
    Elsewhere {
        /// The first rank that failed.
        rank: usize,
        /// What all were doing.
        doing: &'static str,
    },
    /// Workers do not have the same bits, though they should.
    #[error(
        "rank {rank} has other {what} than rank 0 (hashes {found:016x} and {expected:016x}), and not by the \
         rounding of a step: weights that one rank wrote alone, or gradients exchanged for long between unlike adapters; \
         `restore` the last checkpoint, and run all ranks on one kind of adapter and driver"
    )]
    Diverged {
        /// `weights`, say.
        what: &'static str,
        /// The first rank that differs.
        rank: usize,
        /// Rank 0's hash.
        expected: u64,
        /// That rank's.
        found: u64,
    },
    /// A checkpoint is possible between two rounds only.
    #[error(
        "a checkpoint is possible between rounds only, and this is step {position} of {period}; save where \
         `step` gives a report"
    )]
    MidRound {
        /// Steps taken in the round.
        position: u64,
        /// Steps of a round.
        period: u32,
    },
    /// There are checkpoints, and none can be read.
    #[error("`{folder}` has no checkpoint that can be read: {problems}")]
    Checkpoint {
        /// The folder.
        folder: String,
        /// What is wrong with each.
        problems: String,
    },
    /// The file system refused.
    #[error("{doing} `{path}`: {problem}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: String,
        /// What the system said.
        problem: String,
    },
}
