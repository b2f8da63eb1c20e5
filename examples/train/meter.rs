//! Losses and right answers, counted on the GPU and read back now and then.

use super::device::{ModelError, checked, fits, storage};
use futures::channel::oneshot;
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
    pub(super) buffer: wgpu::Buffer,
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

    /// Records the way back of some tallies. They arrive after `encoder` was submitted and ran.
    pub async fn read(
        &self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        tallies: Range<u32>,
    ) -> Result<Reading, ModelError> {
        let bytes = Self::TALLY * u64::from(tallies.end - tallies.start);
        let buffer = checked(device, "making room for a reading", || {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("reading"),
                size: bytes,
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            })
        })
        .await?;
        let first = Self::HEADER + Self::TALLY * u64::from(tallies.start);
        encoder.copy_buffer_to_buffer(&self.buffer, first, &buffer, 0, bytes);
        let (sender, mapped) = oneshot::channel();
        encoder.map_buffer_on_submit(&buffer, wgpu::MapMode::Read, .., |result| {
            // Nobody listens any more where the reading was dropped.
            let _ = sender.send(result);
        });
        Ok(Reading { buffer, mapped })
    }
}

/// Tallies on their way back from the GPU.
pub struct Reading {
    buffer: wgpu::Buffer,
    mapped: oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Reading {
    /// The tallies, once they are there. Off the web, somebody has to poll the device.
    pub async fn finish(self) -> Result<Vec<Tally>, ModelError> {
        let failed = |message: String| ModelError::Device { doing: "reading the losses", message };
        let mapped = self.mapped.await.map_err(|_| failed("it was lost".to_owned()))?;
        mapped.map_err(|problem| failed(problem.to_string()))?;
        let view = self.buffer.get_mapped_range(..).map_err(|problem| failed(problem.to_string()))?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&view);
        let tally = |pair: &[u32]| Tally { loss: f32::from_bits(pair[0]), correct: pair[1] };
        Ok(words.chunks_exact(2).map(tally).collect())
    }
}
