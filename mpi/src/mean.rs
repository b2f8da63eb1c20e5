//! The mean over all ranks, with the same bits on each of them.
//!
//! Each rank owns a part of the blocks: it is sent that part by all (all-to-all), sums it **in the order of the ranks** in
//! f64, divides, rounds to f32, packs it, and gives it to all (all-gather). So a rank sends and receives some twice what
//! is packed, whatever the number of ranks, no rank holds more than its own and a piece, and the mean depends on neither
//! the order in which messages arrive nor on what part is whose.

use std::{ops::Range, thread::sleep, time::Duration};

use mpi::{
    Count,
    datatype::{Partition, PartitionMut},
    request::{Request, Scope, scope},
    topology::SimpleCommunicator,
    traits::{Communicator, CommunicatorCollectives},
};

use crate::wire::{BLOCK, Wire};

/// Blocks that are exchanged at once: bounds memory, and bytes that MPI counts in 32 bits.
const PIECE: usize = 1 << 17;

/// What an exchange has of its own.
#[derive(Debug, Default)]
pub(crate) struct Mean {
    wire: Wire,
    /// What was lost in packing the means of this rank's own blocks, where the format feeds back.
    pub kept: Vec<f32>,
}

/// Which blocks of a piece are each rank's.
fn parts(blocks: usize, size: usize) -> Vec<Range<usize>> {
    (0..size).map(|rank| blocks * rank / size..blocks * (rank + 1) / size).collect()
}

/// How many blocks of so many are a rank's own.
pub(crate) fn owned(blocks: usize, rank: usize, size: usize) -> usize {
    pieces(blocks).map(|piece| parts(piece.len(), size)[rank].len()).sum()
}

fn pieces(blocks: usize) -> impl Iterator<Item = Range<usize>> {
    (0..blocks.div_ceil(PIECE)).map(move |piece| piece * PIECE..blocks.min((piece + 1) * PIECE))
}

impl Mean {
    /// For so many blocks, of which some are this rank's own.
    pub fn new(wire: Wire, blocks: usize, rank: usize, size: usize) -> Self {
        let kept = if wire.feeds_back() { owned(blocks, rank, size) * BLOCK } else { 0 };
        Self { wire, kept: vec![0.0; kept] }
    }

    /// Puts the mean of what all ranks have packed in the place of it. Returns how many bytes were sent to others.
    /// `patience`: how often it looks whether messages have come; none for a wait as MPI's, which takes a core.
    pub fn exchange(
        &mut self,
        world: &SimpleCommunicator,
        packed: &mut [u8],
        patience: Option<Duration>,
    ) -> u64 {
        let bytes = self.wire.block_bytes();
        let (mut sent, mut kept) = (0, 0);
        for piece in pieces(packed.len() / bytes) {
            let piece = &mut packed[piece.start * bytes..piece.end * bytes];
            sent += self.exchange_piece(world, piece, patience, &mut kept);
        }
        sent
    }

    fn exchange_piece(
        &mut self,
        world: &SimpleCommunicator,
        piece: &mut [u8],
        patience: Option<Duration>,
        kept_at: &mut usize,
    ) -> u64 {
        let (rank, size, bytes) = (world.rank() as usize, world.size() as usize, self.wire.block_bytes());
        let parts = parts(piece.len() / bytes, size);
        let counts: Vec<Count> = parts.iter().map(|part| (part.len() * bytes) as Count).collect();
        let starts: Vec<Count> = parts.iter().map(|part| (part.start * bytes) as Count).collect();
        let own = parts[rank].len();
        let others = (size - 1) as u64;
        let sent = (piece.len() - own * bytes) as u64 + others * (own * bytes) as u64;

        // Room for a byte at least: an empty vector points to 1, which is Open MPI's `MPI_IN_PLACE`.
        let mut received = vec![0u8; (own * bytes * size).max(1)];
        let received = &mut received[..own * bytes * size];
        let each = vec![(own * bytes) as Count; size];
        let places: Vec<Count> = (0..size).map(|rank| (rank * own * bytes) as Count).collect();
        all_to_all(
            world,
            patience,
            &Partition::new(&*piece, &counts[..], &starts[..]),
            &mut PartitionMut::new(&mut *received, &each[..], &places[..]),
        );
        let kept_len = if self.wire.feeds_back() { own * BLOCK } else { 0 };
        let kept = &mut self.kept[*kept_at..*kept_at + kept_len];
        *kept_at += kept_len;
        let mean = mean_of(self.wire, received, size, kept);
        all_gather(world, patience, &mean, &mut PartitionMut::new(piece, &counts[..], &starts[..]));
        sent
    }
}

fn all_to_all<'a>(
    world: &SimpleCommunicator,
    patience: Option<Duration>,
    from: &'a Parts<'a>,
    to: &'a mut PartsMut<'a>,
) {
    match patience {
        None => world.all_to_all_varcount_into(from, to),
        Some(patience) => scope(|scope| {
            finish(world.immediate_all_to_all_varcount_into(scope, from, to), patience);
        }),
    }
}

fn all_gather<'a>(
    world: &SimpleCommunicator,
    patience: Option<Duration>,
    from: &'a [u8],
    to: &'a mut PartsMut<'a>,
) {
    match patience {
        None => world.all_gather_varcount_into(from, to),
        Some(patience) => scope(|scope| {
            finish(world.immediate_all_gather_varcount_into(scope, from, to), patience);
        }),
    }
}

type Parts<'a> = Partition<'a, [u8], &'a [Count], &'a [Count]>;
type PartsMut<'a> = PartitionMut<'a, [u8], &'a [Count], &'a [Count]>;

/// Waits without taking a core that steps could have.
pub(crate) fn finish<'a, D: ?Sized, S: Scope<'a>>(mut request: Request<'a, D, S>, patience: Duration) {
    while let Err(unfinished) = request.test() {
        request = unfinished;
        sleep(patience);
    }
}

/// The packed mean of what `size` ranks have packed, one after the other.
fn mean_of(wire: Wire, received: &[u8], size: usize, kept: &mut [f32]) -> Vec<u8> {
    let each = received.len() / size;
    let mut mean = Vec::with_capacity(each.max(1));
    let (mut sums, mut values) = ([0.0f64; BLOCK], [0.0f32; BLOCK]);
    for (index, at) in (0..each).step_by(wire.block_bytes()).enumerate() {
        sums.fill(0.0);
        for rank in 0..size {
            let at = rank * each + at;
            let block = wire.unpack(&received[at..at + wire.block_bytes()]);
            sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += f64::from(value));
        }
        for (value, sum) in values.iter_mut().zip(&sums) {
            *value = (sum / size as f64) as f32;
        }
        let kept = kept.get_mut(index * BLOCK..(index + 1) * BLOCK).unwrap_or_default();
        wire.pack(&values, kept, &mut mean);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_one_ranks() {
        for size in 1..9 {
            for blocks in [0, 1, 5, 8, 1000, PIECE, 2 * PIECE + 3] {
                let all: usize = (0..size).map(|rank| owned(blocks, rank, size)).sum();
                assert_eq!(all, blocks);
            }
            let parts = parts(13, size);
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }

    #[test]
    fn the_mean_is_rounded_once_and_of_equal_values_itself() {
        let packed = |values: [f32; BLOCK]| {
            let mut bytes = Vec::new();
            Wire::F32.pack(&values, &mut [], &mut bytes);
            bytes
        };
        for size in 1..6 {
            let same = packed([0.1; BLOCK]);
            assert_eq!(mean_of(Wire::F32, &same.repeat(size), size, &mut []), same, "{size} ranks");
        }
        // f32 would lose the 1 in the sum.
        let all = [packed([1e9; BLOCK]), packed([1.0; BLOCK]), packed([-1e9; BLOCK])].concat();
        assert_eq!(mean_of(Wire::F32, &all, 3, &mut []), packed([(1.0f64 / 3.0) as f32; BLOCK]));
    }
}
