//! The kernel to compare with.

use crate::case::Case;
use lookahead_wgpu::{gpu::Gpu, wgpu};

/// The side of a workgroup's square.
const SIDE: u32 = 8;

/// A product with its operands.
pub struct Naive {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    groups: [u32; 2],
}

impl Naive {
    pub fn new(gpu: &Gpu, case: &Case, [left, right, result]: [&wgpu::Buffer; 3]) -> Self {
        let device = &gpu.device;
        let module = device.create_shader_module(wgpu::include_wgsl!("naive.wgsl"));
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("naive"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let words = case.words();
        let shape = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("shape"),
            size: size_of_val(&words) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        gpu.queue.write_buffer(&shape, 0, bytemuck::cast_slice(&words));
        let buffers = (0..).zip([&shape, left, right, result]);
        let entries = buffers
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() });
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("naive"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries.collect::<Vec<_>>(),
        });
        let [rows, _, columns] = case.size();
        Self { pipeline, bindings, groups: [columns.div_ceil(SIDE), rows.div_ceil(SIDE)] }
    }

    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(self.groups[0], self.groups[1], 1);
    }
}
