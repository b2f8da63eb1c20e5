//! The control ring: what the host tells each step, put where the step's own commands find it.
//!
//! A `Queue::write_buffer` lands before the next submit, whatever was recorded when. So every recorded
//! step has a slot of its own, which nothing overwrites until the device is done with it: a thousand
//! steps in one encoder read a thousand slots. An encoder that was never submitted gives its slots back when it is
//! dropped.

use std::sync::Arc;

use super::tally::Held;
use crate::error::Error;

/// How many full chunks are kept, to be used again. Beyond them the oldest is dropped, and freed with the last
/// encoder that uses it.
const KEPT: usize = 2;

/// One chunk of the ring: what was made of it, and which slots are taken.
struct Chunk<C> {
    made: C,
    next: u32,
    /// Its bytes. Every encoder has a share until the device is done with it or it is dropped unsubmitted.
    held: Arc<Held>,
}

impl<C> Chunk<C> {
    fn new((made, held): (C, Held)) -> Self {
        Self { made, next: 0, held: Arc::new(held) }
    }

    fn is_free(&self) -> bool {
        Arc::strong_count(&self.held) == 1
    }
}

/// Slots of a chunk.
pub(super) struct Taken<'a, C> {
    pub chunk: &'a C,
    /// The first one's number.
    pub first: u32,
    /// How many behind them are nobody's yet.
    pub behind: u32,
    /// Keeps others from taking them while it is held.
    pub held: Arc<Held>,
}

pub(super) struct Ring<C> {
    /// In a chunk.
    slots: u32,
    current: Chunk<C>,
    /// Full ones, the oldest first.
    full: Vec<Chunk<C>>,
}

impl<C> Ring<C> {
    /// A ring of chunks with so many slots each, of which this is the first.
    pub fn new(slots: u32, first: (C, Held)) -> Self {
        Self { slots, current: Chunk::new(first), full: vec![] }
    }

    /// Takes slots side by side.
    pub fn take(
        &mut self,
        count: u32,
        make: impl FnOnce() -> Result<(C, Held), Error>,
    ) -> Result<Taken<'_, C>, Error> {
        if self.current.next + count > self.slots {
            self.turn(make)?;
        }
        let first = self.current.next;
        self.current.next += count;
        let Chunk { made, next, held } = &self.current;
        Ok(Taken { chunk: made, first, behind: self.slots - next, held: held.clone() })
    }

    /// Goes on to a chunk that the device no longer reads, or to a new one.
    fn turn(&mut self, make: impl FnOnce() -> Result<(C, Held), Error>) -> Result<(), Error> {
        let next = match self.full.iter().position(Chunk::is_free) {
            Some(index) => Chunk { next: 0, ..self.full.remove(index) },
            None => Chunk::new(make()?),
        };
        self.full.push(std::mem::replace(&mut self.current, next));
        if self.full.len() > KEPT {
            self.full.remove(0);
        }
        Ok(())
    }
}
