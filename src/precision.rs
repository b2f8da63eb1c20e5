//! Half-width floating point: f16 and bf16, two values a word.

/// A half-width format. Neither needs the device feature `SHADER_F16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Half {
    /// IEEE binary16: 11 bits of precision, up to 65504 (where the copy of the weights saturates). Rounding
    /// is the device's, to one of the two neighbours: off by 2^-10 of the value at most.
    F16,
    /// bfloat16: 8 bits of precision, the range of f32. To the nearest, ties to even: off by 2^-8 of the
    /// value at most.
    Bf16,
}

impl Half {
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
