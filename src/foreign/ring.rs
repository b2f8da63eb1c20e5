//! The control ring of a device that does not say when an encoder is dropped.

/// A chunk of slots: a buffer, and the bind group over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub buffer: u32,
    pub group: u32,
}

/// Slots, taken one after the other. What is written to a slot comes after all that was submitted before, and encoders of our
/// own are submitted before anything else is recorded: so a full chunk begins anew. Where slots of it went into an encoder of
/// the caller's, which may be submitted at any time, it is never used again.
#[derive(Debug)]
pub(super) struct Ring {
    /// In a chunk.
    slots: u32,
    current: Chunk,
    next: u32,
    /// The current chunk has slots in an encoder of the caller's.
    is_lent: bool,
}

/// Slots of the current chunk.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    pub chunk: Chunk,
    /// The first one's number.
    pub first: u32,
    /// How many behind them are nobody's yet.
    pub behind: u32,
    /// A chunk that will not be used again.
    pub gone: Option<Chunk>,
}

impl Ring {
    /// A ring of chunks with so many slots each, of which this is the first.
    pub fn new(slots: u32, current: Chunk) -> Self {
        Self { slots, current, next: 0, is_lent: false }
    }

    /// Takes slots side by side, for an encoder of the caller's or not.
    pub fn take<E>(
        &mut self,
        count: u32,
        is_lent: bool,
        make: impl FnOnce() -> Result<Chunk, E>,
    ) -> Result<Taken, E> {
        let mut gone = None;
        if self.next + count > self.slots {
            if self.is_lent {
                gone = Some(std::mem::replace(&mut self.current, make()?));
                self.is_lent = false;
            }
            self.next = 0;
        }
        let first = self.next;
        self.next += count;
        self.is_lent |= is_lent;
        Ok(Taken { chunk: self.current, first, behind: self.slots - self.next, gone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(number: u32) -> Chunk {
        Chunk { buffer: number, group: number }
    }

    /// Takes a slot of a ring that makes the chunk 1.
    fn take(ring: &mut Ring, is_lent: bool) -> (u32, u32, Option<Chunk>) {
        let Taken { chunk: Chunk { buffer, .. }, first, gone, .. } =
            ring.take(1, is_lent, || Ok::<_, ()>(chunk(1))).unwrap();
        (buffer, first, gone)
    }

    #[test]
    fn a_full_chunk_begins_anew() {
        let mut ring = Ring::new(2, chunk(0));
        let taken: Vec<_> = (0..3).map(|_| take(&mut ring, false)).collect();
        assert_eq!(taken, [(0, 0, None), (0, 1, None), (0, 0, None)]);
    }

    #[test]
    fn one_in_an_encoder_of_the_callers_is_not_used_again() {
        let mut ring = Ring::new(2, chunk(0));
        let taken: Vec<_> = [true, false, false, false, false].map(|is_lent| take(&mut ring, is_lent)).into();
        let gone = Some(chunk(0));
        assert_eq!(taken, [(0, 0, None), (0, 1, None), (1, 0, gone), (1, 1, None), (1, 0, None)]);
    }

    #[test]
    fn where_no_chunk_can_be_made_nothing_is_taken() {
        let mut ring = Ring::new(1, chunk(0));
        take(&mut ring, true);
        assert_eq!(ring.take(1, false, || Err("no")), Err("no"));
        assert_eq!(take(&mut ring, false), (1, 0, Some(chunk(0))));
    }
}
