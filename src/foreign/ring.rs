//! The control ring of a device that does not say when an encoder is dropped.

use std::{cell::RefCell, rc::Rc};

/// How many chunks that are free again are kept.
const KEPT: usize = 2;

/// A chunk of slots: a buffer, and the bind group over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub buffer: u32,
    pub group: u32,
}

/// Slots, taken one after the other. A full chunk is used again when the device is done with it; where slots of it went into
/// an encoder of the caller's, which may be submitted at any time, it never is.
#[derive(Debug)]
pub(super) struct Ring {
    /// In a chunk.
    slots: u32,
    current: Chunk,
    next: u32,
    /// The current chunk has slots in an encoder of the caller's.
    is_lent: bool,
    free: Rc<RefCell<Vec<Chunk>>>,
}

/// Slots of the current chunk.
pub(super) struct Taken {
    pub chunk: Chunk,
    /// The first one's number.
    pub first: u32,
    /// How many behind them are nobody's yet.
    pub behind: u32,
    /// The chunk before it, which is full now.
    pub full: Option<Full>,
}

/// A full chunk.
pub(super) struct Full {
    pub chunk: Chunk,
    /// It will never be used again.
    pub is_lent: bool,
}

impl Ring {
    /// A ring of chunks with so many slots each, of which this is the first.
    pub fn new(slots: u32, current: Chunk) -> Self {
        Self { slots, current, next: 0, is_lent: false, free: Rc::default() }
    }

    /// Takes slots side by side, for an encoder of the caller's or not.
    pub fn take<E>(
        &mut self,
        count: u32,
        is_lent: bool,
        make: impl FnOnce() -> Result<Chunk, E>,
    ) -> Result<Taken, E> {
        let mut full = None;
        if self.next + count > self.slots {
            let free = self.free.borrow_mut().pop();
            let next = free.map_or_else(make, Ok)?;
            let chunk = std::mem::replace(&mut self.current, next);
            full = Some(Full { chunk, is_lent: std::mem::take(&mut self.is_lent) });
            self.next = 0;
        }
        let first = self.next;
        self.next += count;
        self.is_lent |= is_lent;
        Ok(Taken { chunk: self.current, first, behind: self.slots - self.next, full })
    }

    /// Where a chunk goes when the device is done with it; one that is not kept comes back.
    pub fn returns(&self) -> impl FnOnce(Chunk) -> Option<Chunk> + use<> {
        let free = Rc::clone(&self.free);
        move |chunk| {
            let mut free = free.borrow_mut();
            if free.len() == KEPT {
                return Some(chunk);
            }
            free.push(chunk);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a slot, and tells where it is and what became full.
    fn take(ring: &mut Ring, is_lent: bool, made: &mut u32) -> (u32, u32, Option<(u32, bool)>) {
        let make = || {
            *made += 1;
            Ok::<_, ()>(Chunk { buffer: *made, group: *made })
        };
        let Taken { chunk, first, full, .. } = ring.take(1, is_lent, make).unwrap();
        (chunk.buffer, first, full.map(|full| (full.chunk.buffer, full.is_lent)))
    }

    #[test]
    fn a_chunk_that_is_done_is_used_again() {
        let (mut made, mut ring) = (0, Ring::new(2, Chunk { buffer: 0, group: 0 }));
        let mut next = |ring: &mut Ring| take(ring, false, &mut made);
        assert_eq!((next(&mut ring), next(&mut ring)), ((0, 0, None), (0, 1, None)));
        assert_eq!(next(&mut ring), (1, 0, Some((0, false))));
        assert_eq!(ring.returns()(Chunk { buffer: 0, group: 0 }), None);
        next(&mut ring);
        assert_eq!(next(&mut ring), (0, 0, Some((1, false))));
    }

    #[test]
    fn a_chunk_in_an_encoder_of_the_callers_is_said_to_be() {
        let (mut made, mut ring) = (0, Ring::new(2, Chunk { buffer: 0, group: 0 }));
        take(&mut ring, true, &mut made);
        take(&mut ring, false, &mut made);
        assert_eq!(take(&mut ring, false, &mut made).2, Some((0, true)));
        take(&mut ring, false, &mut made);
        assert_eq!(take(&mut ring, false, &mut made).2, Some((1, false)));
    }

    #[test]
    fn few_are_kept() {
        let ring = Ring::new(1, Chunk { buffer: 0, group: 0 });
        let chunk = |number| Chunk { buffer: number, group: number };
        let kept: Vec<_> = (0..3).map(|number| ring.returns()(chunk(number)).is_none()).collect();
        assert_eq!(kept, [true, true, false]);
    }
}
