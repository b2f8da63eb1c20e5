//! Words on their way back from the GPU, while it goes on with other work.

use crate::device::{ModelError, checked};
use futures::channel::oneshot;

/// A copy of a part of a buffer. It arrives after the encoder was submitted and ran.
pub struct Reading {
    buffer: wgpu::Buffer,
    mapped: oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Reading {
    /// Records the way back of some bytes.
    pub async fn new(
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        source: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
    ) -> Result<Self, ModelError> {
        let buffer = checked(device, "making room for a reading", || {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("reading"),
                size: bytes,
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            })
        })
        .await?;
        encoder.copy_buffer_to_buffer(source, offset, &buffer, 0, bytes);
        let (sender, mapped) = oneshot::channel();
        encoder.map_buffer_on_submit(&buffer, wgpu::MapMode::Read, .., |result| {
            // Nobody listens any more where the reading was dropped.
            let _ = sender.send(result);
        });
        Ok(Self { buffer, mapped })
    }

    /// The words, once they are there. Off the web, somebody has to poll the device.
    pub async fn finish(self) -> Result<Vec<u32>, ModelError> {
        let failed = |message: String| ModelError::Device { doing: "reading results", message };
        let mapped = self.mapped.await.map_err(|_| failed("it was lost".to_owned()))?;
        mapped.map_err(|problem| failed(problem.to_string()))?;
        let view = self.buffer.get_mapped_range(..).map_err(|problem| failed(problem.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }
}
