//! Where ranks wait for each other and tell how they are, before anything that takes all of them.

use std::time::{Duration, Instant};

use mpi::{
    request::scope,
    topology::SimpleCommunicator,
    traits::{Communicator, CommunicatorCollectives},
};

use crate::{error::Error, mean::finish};

/// How a rank is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Ready for what comes.
    Ready = 0,
    /// It has a value that is not finite.
    NotFinite = 1,
    /// Its guard has skipped every step of the round.
    NoStep = 2,
    /// It has failed.
    Failed = 3,
}

impl Standing {
    fn of(word: u64) -> Self {
        match word {
            0 => Self::Ready,
            1 => Self::NotFinite,
            2 => Self::NoStep,
            _ => Self::Failed,
        }
    }
}

/// What a rank says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub standing: Standing,
    /// A hash, say.
    pub word: u64,
    /// Seconds, of whatever.
    pub seconds: f64,
}

/// Ready, and with nothing to say.
pub(crate) fn ready() -> Said {
    Said { standing: Standing::Ready, word: 0, seconds: 0.0 }
}

/// What all say, in the order of the ranks, and how long this one waited for the others.
pub(crate) fn meet(world: &SimpleCommunicator, said: Said) -> (Vec<Said>, f64) {
    meet_with(world, said, None)
}

/// [`meet`], looking so often whether they are there.
pub(crate) fn meet_with(
    world: &SimpleCommunicator,
    said: Said,
    patience: Option<Duration>,
) -> (Vec<Said>, f64) {
    let words = [said.standing as u64, said.word, said.seconds.to_bits()];
    let mut all = vec![0u64; words.len() * world.size() as usize];
    let start = Instant::now();
    match patience {
        None => world.all_gather_into(&words[..], &mut all[..]),
        Some(patience) => scope(|scope| {
            finish(world.immediate_all_gather_into(scope, &words[..], &mut all[..]), patience);
        }),
    }
    let waited = start.elapsed().as_secs_f64();
    let said = |words: &[u64]| Said {
        standing: Standing::of(words[0]),
        word: words[1],
        seconds: f64::from_bits(words[2]),
    };
    (all.chunks_exact(words.len()).map(said).collect(), waited)
}

/// What all say, of whom none has failed. A rank that has failed tells the others so, and returns its own error.
pub(crate) fn agree<T>(
    world: &SimpleCommunicator,
    doing: &'static str,
    outcome: Result<T, Error>,
    say: impl FnOnce(&T) -> Said,
) -> Result<(T, Vec<Said>, f64), Error> {
    let failed = Said { standing: Standing::Failed, word: 0, seconds: 0.0 };
    let (all, waited) = meet(world, outcome.as_ref().map_or(failed, say));
    let outcome = outcome?;
    match who(&all, Standing::Failed).first() {
        Some(&rank) => Err(Error::Elsewhere { rank, doing }),
        None => Ok((outcome, all, waited)),
    }
}

/// The ranks that stand so.
pub(crate) fn who(all: &[Said], standing: Standing) -> Vec<usize> {
    (0..all.len()).filter(|rank| all[*rank].standing == standing).collect()
}

/// Refuses words that differ from rank 0's.
pub(crate) fn check_same(all: &[Said], what: &'static str) -> Result<(), Error> {
    let expected = all[0].word;
    match all.iter().position(|said| said.word != expected) {
        Some(rank) => Err(Error::Diverged { what, rank, expected, found: all[rank].word }),
        None => Ok(()),
    }
}

/// Texts of all ranks, in their order.
pub(crate) fn texts(world: &SimpleCommunicator, text: &str) -> Vec<String> {
    use mpi::{Count, datatype::PartitionMut};
    // Never empty: an empty vector points to 1, which is Open MPI's `MPI_IN_PLACE`.
    let text = format!("{text}\n");
    let mut lens = vec![0 as Count; world.size() as usize];
    world.all_gather_into(&(text.len() as Count), &mut lens[..]);
    let starts: Vec<Count> = lens
        .iter()
        .scan(0, |end, len| {
            let start = *end;
            *end += len;
            Some(start)
        })
        .collect();
    let mut bytes = vec![0u8; lens.iter().map(|len| *len as usize).sum()];
    world.all_gather_varcount_into(
        text.as_bytes(),
        &mut PartitionMut::new(&mut bytes[..], &lens[..], &starts[..]),
    );
    let text = |(start, len): (&Count, &Count)| {
        let text = String::from_utf8_lossy(&bytes[*start as usize..(*start + *len) as usize]);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    };
    starts.iter().zip(&lens).map(text).collect()
}

/// FNV-1a over 64 bits, a word at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hash(pub u64);

impl Hash {
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3);
        // Low bits see high ones, too.
        self.0 ^= self.0 >> 29;
    }

    /// The bits of values, a tensor after the other.
    pub fn of<'a>(tensors: impl IntoIterator<Item = &'a [f32]>) -> u64 {
        let mut hash = Self::new();
        tensors.into_iter().flatten().for_each(|value| hash.word(u64::from(value.to_bits())));
        hash.0
    }

    pub fn of_bytes(bytes: &[u8]) -> u64 {
        let mut hash = Self::new();
        for word in bytes.chunks(8) {
            let mut eight = [0; 8];
            eight[..word.len()].copy_from_slice(word);
            hash.word(u64::from_le_bytes(eight));
        }
        hash.0
    }
}
