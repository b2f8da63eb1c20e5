//! Losses and right answers, counted on the GPU and read back now and then.

use crate::device::{ModelError, checked, fits, storage};
use crate::reading::Reading;
use std::ops::Range;

/// What one batch came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tally {
    /// The sum of the losses of its images.
    pub loss: f32,
    /// How many of its images were classified rightly.
    pub correct: u32,
}

/// Collects the tallies of batches on the GPU, so that no step waits for one.
pub struct Meter {
    pub(crate) buffer: wgpu::Buffer,
}

impl Meter {
    /// Bytes of the number of tallies.
    const HEADER: u64 = 4;
    /// Bytes of a tally.
    const TALLY: u64 = 8;

    /// Room for the tallies of so many batches.
    pub async fn new(device: &wgpu::Device, batches: u32) -> Result<Self, ModelError> {
        let bytes = Self::HEADER + Self::TALLY * u64::from(batches);
        fits(device, "the losses of an epoch", bytes, "use larger batches")?;
        let make = || Self { buffer: storage(device, "meter", bytes) };
        checked(device, "making room for the losses", make).await
    }

    /// Starts again from the first tally.
    pub fn clear(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.clear_buffer(&self.buffer, 0, Some(Self::HEADER));
    }

    /// Goes on after so many tallies.
    pub fn skip_to(&self, queue: &wgpu::Queue, tally: u32) {
        queue.write_buffer(&self.buffer, 0, bytemuck::bytes_of(&tally));
    }

    /// Records the way back of some tallies. They arrive after `encoder` was submitted and ran.
    pub async fn read(
        &self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        tallies: Range<u32>,
    ) -> Result<Tallies, ModelError> {
        let bytes = Self::TALLY * u64::from(tallies.end - tallies.start);
        let first = Self::HEADER + Self::TALLY * u64::from(tallies.start);
        Ok(Tallies(Reading::new(device, encoder, &self.buffer, first, bytes).await?))
    }
}

/// Tallies on their way back from the GPU.
pub struct Tallies(Reading);

impl Tallies {
    /// The tallies, once they are there. Off the web, somebody has to poll the device.
    pub async fn finish(self) -> Result<Vec<Tally>, ModelError> {
        let words = self.0.finish().await?;
        let tally = |pair: &[u32]| Tally { loss: f32::from_bits(pair[0]), correct: pair[1] };
        Ok(words.chunks_exact(2).map(tally).collect())
    }
}
