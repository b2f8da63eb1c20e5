//! The order of the data within an epoch.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// Things in batches, all of them in a new order in each epoch. The last, which fill no batch, are left out of their
/// epoch.
#[derive(Debug, Clone)]
pub struct Order {
    size: usize,
    seed: u64,
    /// The epoch whose order this is.
    epoch: u64,
    order: Vec<usize>,
}

impl Order {
    /// Of `count` things, `size` a batch.
    pub fn new(count: usize, size: usize, seed: u64) -> Self {
        let mut order = Self { size: size.max(1), seed, epoch: 0, order: (0..count).collect() };
        order.shuffle(0);
        order
    }

    /// Steps of an epoch.
    pub fn epoch_steps(&self) -> u64 {
        (self.order.len() / self.size).max(1) as u64
    }

    /// What comes in this step.
    pub fn batch(&mut self, step: u64) -> &[usize] {
        let steps = self.epoch_steps();
        if step / steps != self.epoch {
            self.shuffle(step / steps);
        }
        let start = (step % steps) as usize * self.size;
        &self.order[start..(start + self.size).min(self.order.len())]
    }

    fn shuffle(&mut self, epoch: u64) {
        self.epoch = epoch;
        // From the same start, so that an epoch's order does not hang on which epochs came before.
        self.order.sort_unstable();
        self.order.shuffle(&mut generator(self.seed, epoch));
    }
}

/// Random numbers for one purpose of a run: what has another `purpose` has others.
pub fn generator(seed: u64, purpose: u64) -> StdRng {
    // Not the sum of the two, so that seed 1 is not seed 0 an epoch later.
    let seed = StdRng::seed_from_u64(seed).next_u64();
    StdRng::seed_from_u64(seed ^ purpose)
}
