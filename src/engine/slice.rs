//! Ranges of buffers, the optimizer's or the caller's.

use std::ops::Range;

use super::buffer::{Buffer, Usage};
use crate::{
    config::precision::{Half, bytes},
    error::Error,
    layout::{tensors::Tensor, units::VALUE},
};

/// A range of a buffer: where a tensor's values lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice<B> {
    /// The buffer.
    pub buffer: B,
    /// First byte; a multiple of 256 in a buffer of the optimizer's, of 4 in one of the caller's.
    pub offset: u64,
    /// Bytes: 4 for each value (2 where it is half-width, rounded up to a multiple of 4), without padding.
    pub size: u64,
}

impl<B: Buffer> Slice<B> {
    /// `size` bytes of `buffer` from byte `offset` on.
    pub fn new(buffer: &B, offset: u64, size: u64) -> Self {
        Self { buffer: buffer.clone(), offset, size }
    }

    /// The whole buffer.
    pub fn whole(buffer: &B) -> Self {
        Self::new(buffer, 0, buffer.bytes())
    }

    fn bytes(&self) -> Range<u64> {
        self.offset..self.offset + self.size
    }

    /// Refuses a range that cannot be `role` of `tensor`.
    pub(crate) fn check(&self, role: &'static str, tensor: &Tensor, half: Option<Half>) -> Result<(), Error> {
        let end = self.offset.saturating_add(self.size);
        let error = |problem: String| {
            let (tensor, start, size) = (tensor.name.clone(), self.offset, self.buffer.bytes());
            Err(Error::Range { role, tensor, start, end, size, problem })
        };
        if !self.offset.is_multiple_of(VALUE) {
            return error("the first byte must be a multiple of 4".to_owned());
        }
        if end > self.buffer.bytes() {
            return error("it ends past the buffer".to_owned());
        }
        let expected = bytes(tensor.len, half);
        if self.size != expected {
            return error(format!("the shape {:?} has {expected} bytes", tensor.shape));
        }
        self.check_usage(role, &tensor.name, Usage::Storage)
    }

    /// Refuses a buffer that lacks a usage.
    pub(crate) fn check_usage(&self, role: &'static str, tensor: &str, needed: Usage) -> Result<(), Error> {
        let Some(problem) = self.buffer.lacks(needed) else { return Ok(()) };
        Err(Error::Range {
            role,
            tensor: tensor.to_owned(),
            start: self.offset,
            end: self.offset.saturating_add(self.size),
            size: self.buffer.bytes(),
            problem,
        })
    }
}

/// Refuses ranges of one buffer that share bytes.
pub(crate) fn check_disjoint<B: Buffer>(mut ranges: Vec<(String, &Slice<B>)>) -> Result<(), Error> {
    ranges.sort_by(|(_, a), (_, b)| a.buffer.cmp(&b.buffer).then(a.offset.cmp(&b.offset)));
    for pair in ranges.windows(2) {
        let [(first, a), (second, b)] = pair else { continue };
        if a.buffer == b.buffer && a.bytes().end > b.offset {
            return Err(Error::Overlap { first: first.clone(), second: second.clone() });
        }
    }
    Ok(())
}
