//! An exchange as `lookahead-mpi` does it, over a network with a latency and a bandwidth.
//!
//! What is packed goes in pieces of at most 2^17 blocks of 128 values. In each piece every rank owns a part: it is sent that
//! part by all, and gives the mean of it to all. So a rank sends `n - 1` messages twice, and with b blocks
//!
//! ```text
//! b - own + own (n - 1) blocks,   own = ceil(b / n)
//! ```
//!
//! where it owns most, which is `2 (n - 1) / n` of the piece where n divides b. Before and after ranks tell each other how
//! they are, in a few words, for which MPI takes a tree.

use clap::ValueEnum;
use serde::Serialize;

/// Blocks that are exchanged at once.
const PIECE: u64 = 1 << 17;
/// How often ranks tell each other how they are in a round.
pub const MEETINGS: u64 = 3;

/// Whom a worker sends messages to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Messages {
    /// All others, one after the other, as lookahead-mpi does: n - 1 messages a phase
    All,
    /// Halving and doubling, which it does not do: log2 n messages a phase, as many bytes
    Tree,
}

/// What messages are sent over.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Network {
    /// Bytes that a worker sends in a second; it receives as many meanwhile.
    pub bandwidth: f64,
    /// Seconds of a message. They add up: those that are on the way at one time count one after the other.
    pub latency: f64,
    pub messages: Messages,
}

/// What the busiest worker sends, and how long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Exchange {
    pub bytes: u64,
    pub messages: u64,
    /// Seconds of the bytes.
    pub sending: f64,
    /// Seconds of the messages.
    pub latency: f64,
}

impl Exchange {
    pub fn seconds(&self) -> f64 {
        self.sending + self.latency
    }
}

impl Network {
    /// An exchange of so many blocks between so many workers.
    pub fn exchange(&self, blocks: u64, block_bytes: u64, workers: u32) -> Exchange {
        let n = u64::from(workers);
        let pieces = (blocks / PIECE, blocks % PIECE);
        let sent = pieces.0 * sent(PIECE, n) + sent(pieces.1, n);
        let count = pieces.0 + u64::from(pieces.1 > 0);
        let bytes = sent * block_bytes;
        let deep = u64::from(n.next_power_of_two().ilog2());
        let each = match self.messages {
            Messages::All => n - 1,
            Messages::Tree => deep,
        };
        let messages = 2 * count * each + MEETINGS * deep;
        Exchange {
            bytes,
            messages,
            sending: bytes as f64 / self.bandwidth,
            latency: messages as f64 * self.latency,
        }
    }
}

/// Blocks of a piece that the rank which owns most of them sends.
fn sent(blocks: u64, n: u64) -> u64 {
    let own = blocks.div_ceil(n);
    blocks - own + own * (n - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Network = Network { bandwidth: 1e6, latency: 1e-3, messages: Messages::All };

    /// `parts` of lookahead-mpi's `mean.rs`, and what `exchange_piece` says that a rank sends.
    fn counted(blocks: u64, n: u64) -> u64 {
        let each = (0..n).map(|rank| {
            let own = blocks * (rank + 1) / n - blocks * rank / n;
            blocks - own + (n - 1) * own
        });
        each.max().unwrap()
    }

    // Finds: an owner of too few blocks, or bytes by the mean over the ranks, where n does not divide the blocks.
    #[test]
    fn the_bytes_are_those_of_the_rank_that_sends_most() {
        for n in [1, 2, 3, 7, 64, 1000, 4096] {
            for blocks in [1, 2, 63, 64, 1000, 4095, 4096, PIECE] {
                let found = NETWORK.exchange(blocks, 512, n as u32).bytes;
                assert_eq!(found, 512 * counted(blocks, n), "{blocks} blocks, {n} workers");
            }
        }
        // What is divided evenly is sent twice but for a worker's own.
        assert_eq!(NETWORK.exchange(4096, 132, 4).bytes, 132 * 2 * 4096 * 3 / 4);
        assert_eq!(NETWORK.exchange(2 * PIECE + 8, 1, 2).bytes, 2 * PIECE + 8);
    }

    // Finds: a phase that is forgotten, pieces that count once, a tree that is as deep as n.
    #[test]
    fn messages_go_to_all_or_along_a_tree() {
        let of = |messages, blocks, n| Network { messages, ..NETWORK }.exchange(blocks, 512, n).messages;
        assert_eq!(of(Messages::All, 9, 1), 0);
        assert_eq!(of(Messages::All, 9, 2), 2 + MEETINGS);
        assert_eq!(of(Messages::All, 9, 4096), 2 * 4095 + 12 * MEETINGS);
        assert_eq!(of(Messages::All, 2 * PIECE + 1, 5), 3 * 2 * 4 + 3 * MEETINGS);
        assert_eq!(of(Messages::Tree, 9, 4096), 2 * 12 + 12 * MEETINGS);
        assert_eq!(of(Messages::Tree, 9, 5), 2 * 3 + 3 * MEETINGS);
    }

    #[test]
    fn a_worker_alone_sends_nothing_and_more_take_longer() {
        let seconds = |n| NETWORK.exchange(5000, 512, n).seconds();
        assert_eq!(seconds(1), 0.0);
        assert!((0..12).all(|power| seconds(2 << power) > seconds(1 << power)));
        let exchange = NETWORK.exchange(5000, 512, 2);
        assert_eq!(exchange.sending, exchange.bytes as f64 / 1e6);
        assert_eq!(exchange.latency, exchange.messages as f64 * 1e-3);
    }
}
