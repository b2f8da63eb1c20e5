//! Ranges of wgpu's buffers.

use crate::engine::slice;

/// A range of a buffer: where a tensor's values lie.
pub type Slice<B = wgpu::Buffer> = slice::Slice<B>;

impl Slice<wgpu::Buffer> {
    /// To be bound in a kernel.
    pub fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: self.offset,
            size: wgpu::BufferSize::new(self.size),
        })
    }
}
