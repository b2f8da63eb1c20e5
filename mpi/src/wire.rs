//! What goes over the network: values in blocks, in one of four formats, with the same bits wherever they are packed.
//!
//! A block is [`BLOCK`] values. Each tensor begins a new one, and its last block is filled with zeros.
//!
//! | format | bytes a block | a value is off by | what is sent in a round |
//! |---|---|---|---|
//! | [`F32`](Wire::F32) | 512 | nothing | theta |
//! | [`Bf16`](Wire::Bf16) | 256 | 2^-8 of itself | theta - phi |
//! | [`F16`](Wire::F16) | 256 | 2^-11 of itself, 2^-25 at least | theta - phi |
//! | [`Int8`](Wire::Int8) | 132 | 1 / 127 of its block's largest | theta - phi, and what was lost before |
//!
//! In [`Int8`](Wire::Int8) a block is `scale` (an f32, a power of two) and 128 signed bytes q: value = q scale, with the
//! least scale for which all fit. What is lost, `value - q scale`, is added to what is sent next (error feedback:
//! [Seide et al., 2014](https://www.isca-archive.org/interspeech_2014/seide14_interspeech.html);
//! [Karimireddy et al., 2019](https://arxiv.org/abs/1901.09847)), so that the sum of what was sent and what is kept is
//! the sum of what was to be sent. A power of two makes every operation of it exact, so that a GPU and this code agree.

use half::{bf16, f16};
use serde::{Deserialize, Serialize};

/// Values of a block.
pub const BLOCK: usize = 128;

/// The largest q.
const LARGEST: f32 = 127.0;

/// A format of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// As it is.
    #[default]
    F32,
    /// bfloat16, to the nearest, ties to even.
    Bf16,
    /// IEEE binary16, to the nearest, ties to even; beyond 65504 it saturates.
    F16,
    /// Bytes with a scale for each block, and error feedback.
    Int8,
}

impl Wire {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::F32, Self::Bf16, Self::F16, Self::Int8];

    /// Its name, as serde has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }

    /// Bytes of a block; a multiple of 4.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4 * BLOCK,
            Self::Bf16 | Self::F16 => 2 * BLOCK,
            Self::Int8 => 4 + BLOCK,
        }
    }

    /// Whether differences to the slow weights are sent, not the weights themselves: small differences keep their bits
    /// so. f32 loses nothing by it either way, and a mean of equal weights is these weights to the bit.
    pub fn sends_differences(self) -> bool {
        self != Self::F32
    }

    /// Whether what is lost is kept and sent later.
    pub fn feeds_back(self) -> bool {
        self == Self::Int8
    }

    /// Packs whole blocks onto the end of `bytes`. `kept` has a value for each of them where the format
    /// [feeds back](Self::feeds_back): what was lost before, and what is lost now in its place.
    pub fn pack(self, values: &[f32], kept: &mut [f32], bytes: &mut Vec<u8>) {
        match self {
            Self::F32 => values.iter().for_each(|value| bytes.extend(value.to_le_bytes())),
            Self::Bf16 => {
                values.iter().for_each(|value| bytes.extend(bf16::from_f32(*value).to_bits().to_le_bytes()));
            }
            Self::F16 => {
                let narrow = |value: f32| f16::from_f32(value.clamp(-65504.0, 65504.0)).to_bits();
                values.iter().for_each(|value| bytes.extend(narrow(*value).to_le_bytes()));
            }
            Self::Int8 => {
                for (values, kept) in values.chunks(BLOCK).zip(kept.chunks_mut(BLOCK)) {
                    pack_int8(values, kept, bytes);
                }
            }
        }
    }

    /// The values of one block.
    pub fn unpack(self, block: &[u8]) -> impl Iterator<Item = f32> + '_ {
        let value = move |index: usize| -> f32 {
            match self {
                Self::F32 => f32::from_le_bytes(four(block, 4 * index)),
                Self::Bf16 => bf16::from_bits(u16::from_le_bytes(two(block, 2 * index))).to_f32(),
                Self::F16 => f16::from_bits(u16::from_le_bytes(two(block, 2 * index))).to_f32(),
                Self::Int8 => f32::from(block[4 + index] as i8) * f32::from_le_bytes(four(block, 0)),
            }
        };
        (0..BLOCK).map(value)
    }
}

fn four(bytes: &[u8], at: usize) -> [u8; 4] {
    [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
}

fn two(bytes: &[u8], at: usize) -> [u8; 2] {
    [bytes[at], bytes[at + 1]]
}

fn pack_int8(values: &[f32], kept: &mut [f32], bytes: &mut Vec<u8>) {
    values.iter().zip(&mut *kept).for_each(|(value, kept)| *kept += value);
    let largest = kept.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let (scale, inverse) = scale(largest);
    bytes.extend(scale.to_le_bytes());
    for kept in kept {
        let q = (*kept * inverse).round_ties_even().clamp(-LARGEST, LARGEST);
        *kept -= q * scale;
        bytes.push(q as i8 as u8);
    }
}

/// The least power of two of which 127 are at least `largest`, and its inverse; zeros where it would be below 2^-100, so
/// that nothing is sent that GPUs take for 0.
fn scale(largest: f32) -> (f32, f32) {
    // The significand of 127, 1.984375: a larger one needs the next power of two.
    const OF_127: u32 = 0x7e_0000;
    let bits = largest.to_bits();
    let above = u32::from(bits & 0x7f_ffff > OF_127);
    match (bits >> 23).wrapping_add(above) {
        biased @ 33..=255 => {
            let power = biased - 6;
            (f32::from_bits(power << 23), f32::from_bits((254 - power) << 23))
        }
        _ => (0.0, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of many sizes that look random and are the same in every run.
    fn noise(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        (0..len)
            .map(|_| (next() as f32 / 2.0f32.powi(31) - 1.0) * 2.0f32.powi((next() % 24) as i32 - 12))
            .collect()
    }

    fn round_trip(wire: Wire, values: &[f32], kept: &mut [f32]) -> Vec<f32> {
        let mut bytes = Vec::new();
        wire.pack(values, kept, &mut bytes);
        assert_eq!(bytes.len(), values.len() / BLOCK * wire.block_bytes());
        bytes.chunks(wire.block_bytes()).flat_map(|block| wire.unpack(block).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn each_format_is_within_its_bound() {
        let values = noise(64 * BLOCK, 1);
        for wire in Wire::ALL {
            let found = round_trip(wire, &values, &mut vec![0.0; values.len()]);
            for (block, found) in values.chunks(BLOCK).zip(found.chunks(BLOCK)) {
                let largest = block.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                for (value, found) in block.iter().zip(found) {
                    let bound = match wire {
                        Wire::F32 => 0.0,
                        Wire::Bf16 => value.abs() * 2.0f32.powi(-8),
                        Wire::F16 => (value.abs() * 2.0f32.powi(-11)).max(2.0f32.powi(-25)),
                        Wire::Int8 => largest / 127.0,
                    };
                    assert!((value - found).abs() <= bound, "{wire:?}: {value} as {found}");
                }
            }
        }
    }

    #[test]
    fn what_is_packed_again_stays_as_it_is() {
        let values = noise(16 * BLOCK, 2);
        for wire in Wire::ALL {
            let once = round_trip(wire, &values, &mut vec![0.0; values.len()]);
            let mut kept = vec![0.0; values.len()];
            assert_eq!(round_trip(wire, &once, &mut kept), once, "{wire:?}");
            assert!(kept.iter().all(|kept| *kept == 0.0));
        }
    }

    #[test]
    fn what_is_sent_and_what_is_kept_sum_to_what_was_to_be_sent() {
        let mut kept = vec![0.0; 4 * BLOCK];
        let (mut sent, mut meant) = (vec![0.0f64; kept.len()], vec![0.0f64; kept.len()]);
        for round in 0..50 {
            // Multiples of one power of two that f32 sums without rounding.
            let values: Vec<f32> =
                noise(kept.len(), 3 + round).iter().map(|v| (v * 64.0).round() / 4096.0).collect();
            let found = round_trip(Wire::Int8, &values, &mut kept);
            for index in 0..kept.len() {
                sent[index] += f64::from(found[index]);
                meant[index] += f64::from(values[index]);
                assert_eq!(sent[index] + f64::from(kept[index]), meant[index], "round {round}");
            }
        }
        assert!(kept.iter().any(|kept| *kept != 0.0));
    }

    #[test]
    fn the_scale_is_the_least_of_which_127_suffice() {
        for exponent in -80..110 {
            let power = 2.0f32.powi(exponent);
            assert_eq!(scale(127.0 * power), (power, power.recip()), "127 of 2^{exponent}");
            assert_eq!(scale(127.0 * power * (1.0 + f32::EPSILON)).0, 2.0 * power);
            assert_eq!(scale(64.0 * power).0, power);
        }
        assert_eq!(scale(0.0), (0.0, 0.0));
        assert_eq!(scale(f32::MIN_POSITIVE), (0.0, 0.0));
        assert!(scale(f32::MAX).0.is_finite());
    }

    #[test]
    fn what_is_too_small_to_be_sent_is_kept() {
        let mut kept = vec![0.0; BLOCK];
        assert_eq!(round_trip(Wire::Int8, &[1e-35; BLOCK], &mut kept), [0.0; BLOCK]);
        assert_eq!(kept, [1e-35; BLOCK]);
    }

    #[test]
    fn f16_saturates() {
        let found = round_trip(Wire::F16, &[1e9; BLOCK], &mut []);
        assert_eq!(found, [65504.0; BLOCK]);
    }
}
