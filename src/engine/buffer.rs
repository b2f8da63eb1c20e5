//! A device's buffers, as far as the optimizer knows them.

use std::{fmt::Debug, hash::Hash};

/// A buffer of a device's.
pub trait Buffer: Clone + Debug + Hash + Ord {
    /// Its bytes.
    fn bytes(&self) -> u64;

    /// That it lacks this usage, in words, if it does.
    fn lacks(&self, usage: Usage) -> Option<String>;
}

/// What may have to be done with a buffer of the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Bound in kernels.
    Storage,
    /// Copied from.
    CopySrc,
    /// Written.
    CopyDst,
}
