//! Parameters that have no gradient in a step, and are left alone by it.

use std::collections::HashMap;

use lookahead_wgpu::{Slice, wgpu};

/// What a step would change, copied aside.
pub(super) struct Aside(Vec<(Slice, wgpu::Buffer)>);

impl Aside {
    /// Copies what lies in these slices.
    pub(super) fn copy(
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        slices: impl IntoIterator<Item = Slice>,
    ) -> Self {
        let copy = |slice: Slice| {
            let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            let aside = buffer(device, slice.size, usage);
            encoder.copy_buffer_to_buffer(&slice.buffer, slice.offset, &aside, 0, Some(slice.size));
            (slice, aside)
        };
        Self(slices.into_iter().map(copy).collect())
    }

    /// And back to where it was.
    pub(super) fn put_back(&self, encoder: &mut wgpu::CommandEncoder) {
        for (slice, aside) in &self.0 {
            encoder.copy_buffer_to_buffer(aside, 0, &slice.buffer, slice.offset, Some(slice.size));
        }
    }
}

/// Gradients of zero for parameters that have none, so that what is measured of all gradients is right.
#[derive(Default)]
pub(super) struct Zeros(HashMap<usize, Slice>);

impl Zeros {
    /// Those of the parameter at this place, which has so many values.
    pub(super) fn of(&mut self, device: &wgpu::Device, place: usize, len: usize) -> Slice {
        let size = 4 * len as u64;
        let make = || Slice::new(&buffer(device, size, wgpu::BufferUsages::STORAGE), 0, size);
        self.0.entry(place).or_insert_with(make).clone()
    }
}

fn buffer(device: &wgpu::Device, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let label = Some("lookahead-burn");
    device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false })
}
