//! When what is exchanged, and how long a worker waits for it.
//!
//! A model goes over the network in P fragments, one after the other and evenly within a period of H steps, so that each is
//! exchanged once in H steps, and each exchange has T steps to hide behind, `T < H / P` (Streaming DiLoCo: [Douillard et
//! al., 2025](https://arxiv.org/abs/2501.18512)). What remains of it to be waited for is `max(0, exchange - T step)`. With P = 1
//! and T = 0, which is what `lookahead-mpi` does unless it is told to stream, all of it is. Packing is the worker's own work, which hides behind nothing.

use std::str::FromStr;

use lookahead_mpi::{BLOCK, Wire};
use serde::Serialize;

use crate::{
    error::ScaleError,
    network::{Exchange, Network},
};

/// Seconds that packing, unpacking and summing take a packed byte, in each format.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Packing([f64; 4]);

impl Packing {
    fn of(&self, wire: Wire) -> f64 {
        Wire::ALL.iter().zip(self.0).find(|(each, _)| **each == wire).map_or(0.0, |(_, seconds)| seconds)
    }
}

impl FromStr for Packing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|value| *value >= 0.0 && value.is_finite());
        let numbers: Option<Vec<f64>> = text.split(',').map(number).collect();
        match numbers.as_deref() {
            Some(&[all]) => Ok(Self([all; 4])),
            Some(&[f32, bf16, f16, int8]) => Ok(Self([f32, bf16, f16, int8])),
            _ => Err("give one number of seconds, or four with commas between them".to_owned()),
        }
    }
}

/// When what is exchanged.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Schedule {
    pub weights: u64,
    pub wire: Wire,
    /// Seconds of a local step.
    pub step: f64,
    /// Steps of each worker.
    pub steps: u32,
    pub period: u32,
    pub fragments: u32,
    pub overlap: u32,
    pub packing: Packing,
}

/// A round of so many workers.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Round {
    pub workers: u32,
    /// Exchange of a fragment, of which a round has as many as there are fragments.
    pub exchange: Exchange,
    /// Seconds of packing in a round.
    pub packing: f64,
    /// Seconds of a round that no step is taken in: packing, and what of the exchanges is not hidden.
    pub waiting: f64,
    /// Seconds of a round.
    pub seconds: f64,
    /// Bytes a second that would hide an exchange behind the steps it is overlapped with; none where latency alone takes
    /// longer.
    pub hiding_bandwidth: Option<f64>,
    /// Seconds of all steps.
    pub total: f64,
}

impl Round {
    /// The share of the time that no step is taken in.
    pub fn share(&self) -> f64 {
        self.waiting / self.seconds
    }
}

impl Schedule {
    /// Refuses what cannot be.
    pub fn check(&self) -> Result<(), ScaleError> {
        let &Self { period, fragments, overlap, .. } = self;
        if fragments > period {
            return Err(ScaleError::Fragments { fragments, period });
        }
        let most = self.most_overlap();
        if overlap > most {
            let apart = f64::from(period) / f64::from(fragments);
            return Err(ScaleError::Overlap { overlap, apart, most });
        }
        let blocks = self.blocks();
        if u64::from(fragments) > blocks {
            return Err(ScaleError::Blocks { blocks, fragments });
        }
        Ok(())
    }

    /// The most steps that are over before the next exchange begins.
    pub fn most_overlap(&self) -> u32 {
        self.period.div_ceil(self.fragments) - 1
    }

    /// Blocks of the model.
    pub fn blocks(&self) -> u64 {
        self.weights.div_ceil(BLOCK as u64)
    }

    /// Blocks of its largest fragment.
    pub fn fragment(&self) -> u64 {
        self.blocks().div_ceil(u64::from(self.fragments))
    }

    /// A round of so many workers.
    pub fn round(&self, network: &Network, workers: u32) -> Round {
        let (bytes, parts) = (self.wire.block_bytes() as u64, f64::from(self.fragments));
        let exchange = network.exchange(self.fragment(), bytes, workers);
        let packing = (self.blocks() * bytes) as f64 * self.packing.of(self.wire);
        let hidden = f64::from(self.overlap) * self.step;
        let waiting = packing + parts * (exchange.seconds() - hidden).max(0.0);
        let rounds = f64::from(self.steps.div_ceil(self.period));
        let time = hidden - exchange.latency;
        Round {
            workers,
            exchange,
            packing,
            waiting,
            seconds: f64::from(self.period) * self.step + waiting,
            hiding_bandwidth: (time > 0.0).then(|| exchange.bytes as f64 / time),
            total: f64::from(self.steps) * self.step + rounds * waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Messages;

    const NETWORK: Network = Network { bandwidth: 1e8, latency: 1e-4, messages: Messages::All };

    fn schedule() -> Schedule {
        let (weights, wire, packing) = (1_280_000, Wire::F32, Packing([0.0; 4]));
        Schedule { weights, wire, step: 0.01, steps: 1000, period: 16, fragments: 1, overlap: 0, packing }
    }

    // Finds: an exchange in fragments that is not the plain one where there is one fragment and no overlap.
    #[test]
    fn one_fragment_that_is_not_overlapped_takes_the_plain_time() {
        for n in [1, 2, 64, 4096] {
            let round = schedule().round(&NETWORK, n);
            let plain = NETWORK.exchange(10_000, 512, n).seconds();
            assert_eq!((round.waiting, round.seconds), (plain, 16.0 * 0.01 + plain));
            // 1000 steps are 62 rounds of 16 and one of 8.
            assert!((round.total - (10.0 + 63.0 * plain)).abs() < 1e-9 * round.total);
        }
    }

    // Finds: overlap that hides an exchange's time once a round, or below zero; packing that hides, too.
    #[test]
    fn steps_hide_an_exchange_and_no_more_than_it() {
        let plain = schedule().round(&NETWORK, 2);
        let one = plain.exchange.seconds();
        assert!(one > 0.03 && one < 0.06, "{one}");
        let overlapped = |overlap| Schedule { overlap, ..schedule() }.round(&NETWORK, 2).waiting;
        assert!((overlapped(3) - (one - 0.03)).abs() < 1e-12);
        assert_eq!(overlapped(6), 0.0);
        let packed = Schedule { packing: "1e-9".parse().unwrap(), overlap: 6, ..schedule() };
        assert!((packed.round(&NETWORK, 2).waiting - 5.12e-3).abs() < 1e-12);
        let parts = Schedule { fragments: 4, overlap: 1, ..schedule() };
        let part = NETWORK.exchange(2500, 512, 2).seconds();
        assert!((parts.round(&NETWORK, 2).waiting - 4.0 * (part - 0.01)).abs() < 1e-12);
    }

    // Finds: fragments that leave the peak as it is.
    #[test]
    fn the_peak_falls_by_the_number_of_fragments() {
        let network = Network { latency: 0.0, ..NETWORK };
        let need = |fragments| {
            let schedule = Schedule { fragments, overlap: 1, ..schedule() };
            schedule.round(&network, 2).hiding_bandwidth.unwrap()
        };
        assert!((need(1) / need(8) - 8.0).abs() < 1e-9, "{} and {}", need(1), need(8));
        let hidden = Network { bandwidth: need(8), ..network };
        let schedule = Schedule { fragments: 8, overlap: 1, ..schedule() };
        assert!(schedule.round(&hidden, 2).waiting < 1e-12);
        assert!(schedule.round(&NETWORK, 4096).hiding_bandwidth.is_none());
    }

    #[test]
    fn what_should_take_longer_does() {
        let seconds = |schedule: Schedule, network: &Network, n| schedule.round(network, n).total;
        let base = seconds(schedule(), &NETWORK, 64);
        let wire = |wire| seconds(Schedule { wire, ..schedule() }, &NETWORK, 64);
        assert!(base > wire(Wire::Bf16) && wire(Wire::Bf16) == wire(Wire::F16));
        assert!(wire(Wire::F16) > wire(Wire::Int8));
        assert!(seconds(schedule(), &NETWORK, 128) > base);
        assert!(seconds(Schedule { period: 8, ..schedule() }, &NETWORK, 64) > base);
        assert!(seconds(Schedule { weights: 2_000_000, ..schedule() }, &NETWORK, 64) > base);
        assert!(seconds(schedule(), &Network { latency: 2e-4, ..NETWORK }, 64) > base);
        assert!(seconds(schedule(), &Network { bandwidth: 5e7, ..NETWORK }, 64) > base);
        assert!(seconds(schedule(), &Network { messages: Messages::Tree, ..NETWORK }, 64) < base);
        assert!(seconds(Schedule { overlap: 2, ..schedule() }, &NETWORK, 64) < base);
        // Each fragment has messages of its own.
        assert!(seconds(Schedule { fragments: 4, ..schedule() }, &NETWORK, 64) > base);
    }

    #[test]
    fn packing_has_one_time_for_all_formats_or_each_its_own() {
        let one: Packing = "2e-9".parse().unwrap();
        assert!(Wire::ALL.iter().all(|wire| one.of(*wire) == 2e-9));
        let four: Packing = "1,2,3,4".parse().unwrap();
        assert_eq!(Wire::ALL.map(|wire| four.of(wire)), [1.0, 2.0, 3.0, 4.0]);
    }
}
