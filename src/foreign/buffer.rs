//! Buffers that are known by number.

use crate::engine::{self, Usage, slice};

/// WebGPU's bits of a buffer's usage.
pub(super) mod bits {
    pub const COPY_SRC: u32 = 4;
    pub const COPY_DST: u32 = 8;
    pub const UNIFORM: u32 = 64;
    pub const STORAGE: u32 = 128;
}

/// A buffer of a [`Device`](super::Device)'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Buffer {
    /// Its number: two are of the same buffer where these are equal.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// What it may be used for, as WebGPU's `GPUBufferUsage` has it.
    pub usage: u32,
}

/// A range of one: where a tensor's values lie.
pub type Slice = slice::Slice<Buffer>;

impl engine::Buffer for Buffer {
    fn bytes(&self) -> u64 {
        self.size
    }

    fn lacks(&self, usage: Usage) -> Option<String> {
        let (bit, name) = match usage {
            Usage::Storage => (bits::STORAGE, "STORAGE"),
            Usage::CopySrc => (bits::COPY_SRC, "COPY_SRC"),
            Usage::CopyDst => (bits::COPY_DST, "COPY_DST"),
        };
        (self.usage & bit == 0).then(|| format!("the buffer lacks the usage {name} (it has {})", self.usage))
    }
}
