//! Bytes that come and go.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Bytes of what comes and goes: chunks of the control ring, tables of borrowed gradients, buffers of transfers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<AtomicU64>);

impl Tally {
    /// Counts these bytes until what is given back is dropped.
    pub fn hold(&self, bytes: u64) -> Held {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Held { tally: self.clone(), bytes }
    }

    /// All that are counted now.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes that a [`Tally`] counts.
#[derive(Debug)]
pub(crate) struct Held {
    tally: Tally,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tally.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
