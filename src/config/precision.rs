//! Mixed precision: f16 and bf16, two values a word, on any device (the feature `SHADER_F16` is not needed).
//!
//! The weights that are trained, and the state, stay f32. What may be half-width:
//!
//! - **a copy of the weights** for the model's kernels ([`Builder::half_weights`](crate::Builder::half_weights)), which
//!   the step writes along with the weights;
//! - **gradients** ([`Builder::half_gradients`](crate::Builder::half_gradients)), best with
//!   [loss scaling](crate::guard);
//! - **slow weights** in bf16 ([`Builder::slow_bf16`](crate::Builder::slow_bf16)), rounded up or down at random so that
//!   they are right on average. The random bits follow from the step's number and the place, so that a run can be
//!   repeated.
//!
//! The largest and the root-mean-square difference to f64 after 60 steps of Lookahead(Adam) at a learning rate of 0.01,
//! 1000 weights of size 1, the same gradients for both (`cargo test --test device half -- --nocapture`):
//!
//! | mode | largest | root mean square |
//! |---|---|---|
//! | f32 | 3.4e-7 | 1.0e-7 |
//! | f16 gradients | 2.1e-5 | 5.1e-6 |
//! | bf16 gradients | 1.6e-4 | 4.3e-5 |
//! | bf16 slow weights | 1.1e-2 | 1.9e-3 |
//!
//! The copy of the weights has no influence on training by itself: each value is off by its own rounding.

use serde::{Deserialize, Serialize};

/// A half-width format. Neither needs the device feature `SHADER_F16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// IEEE binary16: 11 bits of precision, up to 65504 (where the copy of the weights saturates). Rounding
    /// is the device's, to one of the two neighbours: off by 2^-10 of the value at most.
    F16,
    /// bfloat16: 8 bits of precision, the range of f32. To the nearest, ties to even: off by 2^-8 of the
    /// value at most.
    Bf16,
}

impl Half {
    /// Values as a buffer of this format has them: two a word, to the nearest, the last word filled with a zero where their
    /// number is odd.
    pub fn encode(self, values: &[f32]) -> Vec<u8> {
        encode(values, Some(self))
    }

    /// A value as its bits, to the nearest, ties to even.
    pub(crate) fn bits(self, value: f32) -> u16 {
        match self {
            Self::F16 => half::f16::from_f32(value.clamp(-65504.0, 65504.0)).to_bits(),
            Self::Bf16 => half::bf16::from_f32(value).to_bits(),
        }
    }

    /// The value of bits.
    pub(crate) fn value(self, bits: u16) -> f32 {
        match self {
            Self::F16 => half::f16::from_bits(bits).to_f32(),
            Self::Bf16 => half::bf16::from_bits(bits).to_f32(),
        }
    }
}

/// Bytes of `len` values, in f32 or half-width; a buffer's ranges are multiples of 4.
pub(crate) fn bytes(len: u64, half: Option<Half>) -> u64 {
    match half {
        None => 4 * len,
        Some(_) => (2 * len).next_multiple_of(4),
    }
}

/// Values as the bytes of a buffer.
pub(crate) fn encode(values: &[f32], half: Option<Half>) -> Vec<u8> {
    match half {
        None => bytemuck::cast_slice(values).to_vec(),
        Some(half) => {
            let mut bits: Vec<u16> = values.iter().map(|value| half.bits(*value)).collect();
            bits.resize(values.len().next_multiple_of(2), 0);
            bytemuck::cast_slice(&bits).to_vec()
        }
    }
}

/// The first `len` values of a buffer's bytes.
pub(crate) fn decode(bytes: &[u8], len: usize, half: Option<Half>) -> Vec<f32> {
    match half {
        None => bytes.chunks_exact(4).take(len).map(bytemuck::pod_read_unaligned).collect(),
        Some(half) => {
            let bits = bytes.chunks_exact(2).take(len).map(bytemuck::pod_read_unaligned);
            bits.map(|bits| half.value(bits)).collect()
        }
    }
}
