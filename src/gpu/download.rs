//! Bytes on their way from a device to the host.

use futures::channel::oneshot;

use super::{
    faults::error,
    scope::{Problem, scoped},
    slice::Slice,
    tally::Held,
    waiting::Waiter,
};
use crate::error::Error;

/// Bytes under way.
pub(super) struct Download {
    device: wgpu::Device,
    waiter: Waiter,
    stagings: Stagings,
    submission: wgpu::SubmissionIndex,
    problem: Problem,
    _held: Held,
}

/// Buffers that will be mapped, and what says when.
type Stagings = Vec<(wgpu::Buffer, oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>)>;

impl Download {
    /// Copies each batch of slices side by side to a buffer that can be read, when what was submitted so far is done.
    pub fn begin(
        (device, queue): (&wgpu::Device, &wgpu::Queue),
        waiter: &Waiter,
        batches: &[Vec<Slice>],
        held: Held,
    ) -> Self {
        let ((stagings, submission), problem) = scoped(device, || {
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let stagings = batches.iter().map(|batch| {
                let staging = device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("lookahead readback"),
                    size: batch.iter().map(|slice| slice.size).sum(),
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                let mut at = 0;
                for slice in batch {
                    encoder.copy_buffer_to_buffer(&slice.buffer, slice.offset, &staging, at, slice.size);
                    at += slice.size;
                }
                let (sender, receiver) = oneshot::channel();
                encoder.map_buffer_on_submit(&staging, wgpu::MapMode::Read, .., move |result| {
                    // The receiver may have lost interest.
                    let _ = sender.send(result);
                });
                (staging, receiver)
            });
            let stagings = stagings.collect();
            (stagings, queue.submit([encoder.finish()]))
        });
        let (device, waiter) = (device.clone(), waiter.clone());
        Self { device, waiter, stagings, submission, problem, _held: held }
    }

    /// The bytes.
    pub async fn bytes(self) -> Result<Vec<u8>, Error> {
        if let Some(problem) = self.problem.await {
            return Err(error(&self.device, &problem, "the readback"));
        }
        self.waiter.wait(&self.device, self.submission).await.map_err(|problem| lost(&problem))?;
        let mut bytes = Vec::new();
        for (staging, mapped) in self.stagings {
            mapped
                .await
                .map_err(|_| lost(&"the device dropped the request"))?
                .map_err(|problem| lost(&problem))?;
            let view = staging.get_mapped_range(..).map_err(|problem| lost(&problem))?;
            bytes.extend_from_slice(&view);
            drop(view);
            // A browser frees a buffer that is no longer used when it collects garbage, which may be late.
            staging.destroy();
        }
        Ok(bytes)
    }
}

fn lost(problem: &dyn std::fmt::Display) -> Error {
    Error::DeviceLost { doing: "reading values back".to_owned(), message: problem.to_string() }
}
