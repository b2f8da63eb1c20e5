//! What is kept of a tensor, by name.

/// What there is of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// The fast weights.
    Weights,
    /// The gradients, of tensors that are not borrowed.
    Gradients,
    /// The slow weights.
    SlowWeights,
    /// The half-width copy of the weights.
    HalfWeights,
    /// A state slot, by the rule's name for it.
    State(&'a str),
    /// The slow copy of a state slot, where the policy is to interpolate.
    SlowState(&'a str),
    /// A buffer of the outer step, by its name.
    Outer(&'a str),
    /// The empirical Fisher of an adaptive alpha.
    Fisher,
    /// The curvature that the caller wrote.
    Curvature,
    /// The weights after so many steps of the cycle, kept for Anderson acceleration.
    Iterate(u32),
    /// The average of the weights.
    Average,
    /// The sum of the micro-batches' gradients so far.
    Accumulated,
    /// The mean of the weights that the tasks of a round have come to so far, where a round has several.
    TaskMean,
    /// The gradient of the step's mini-batch at the slow weights, which the caller wrote, for
    /// [variance reduction](crate::variance_reduction).
    SnapshotGradients,
    /// The gradient of the whole objective at the slow weights, which the caller wrote, for the same.
    FullGradients,
}

impl std::fmt::Display for Field<'_> {
    /// As [`Field::parse`] reads it: `weights`, `state.exp_avg`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Weights => f.write_str("weights"),
            Self::Gradients => f.write_str("gradients"),
            Self::SlowWeights => f.write_str("slow_weights"),
            Self::HalfWeights => f.write_str("half_weights"),
            Self::State(slot) => write!(f, "state.{slot}"),
            Self::SlowState(slot) => write!(f, "slow_state.{slot}"),
            Self::Outer(slot) => write!(f, "outer.{slot}"),
            Self::Fisher => f.write_str("fisher"),
            Self::Curvature => f.write_str("curvature"),
            Self::Iterate(step) => write!(f, "iterate.{step}"),
            Self::Average => f.write_str("average"),
            Self::Accumulated => f.write_str("accumulated"),
            Self::TaskMean => f.write_str("task_mean"),
            Self::SnapshotGradients => f.write_str("snapshot_gradients"),
            Self::FullGradients => f.write_str("full_gradients"),
        }
    }
}

impl<'a> Field<'a> {
    /// The field that [`Display`](std::fmt::Display) writes so, if there is one.
    pub fn parse(text: &'a str) -> Option<Self> {
        Some(match (text, text.split_once('.')) {
            ("weights", _) => Self::Weights,
            ("gradients", _) => Self::Gradients,
            ("slow_weights", _) => Self::SlowWeights,
            ("half_weights", _) => Self::HalfWeights,
            ("fisher", _) => Self::Fisher,
            ("curvature", _) => Self::Curvature,
            ("average", _) => Self::Average,
            ("accumulated", _) => Self::Accumulated,
            ("task_mean", _) => Self::TaskMean,
            ("snapshot_gradients", _) => Self::SnapshotGradients,
            ("full_gradients", _) => Self::FullGradients,
            (_, Some(("state", slot))) => Self::State(slot),
            (_, Some(("slow_state", slot))) => Self::SlowState(slot),
            (_, Some(("outer", slot))) => Self::Outer(slot),
            (_, Some(("iterate", step))) => Self::Iterate(number(step)?),
            _ => return None,
        })
    }
}

/// The number that is written so, and no other way.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}
