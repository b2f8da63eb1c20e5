//! The network on the GPU: an optimizer, and the kernel that finds its gradient.

use crate::network::LEN;
use crate::waves::{Batch, POINTS};
use lookahead_wgpu::{Builder, DEFAULT_GROUP, Error, Field, Optimizer, Slice, gpu::Gpu, wgpu};

/// The tensor's name.
const NETWORK: &str = "network";

/// From one step's points to the next one's, in bytes: what WebGPU lets bindings begin at.
const STRIDE: u32 = 256;

/// An optimizer at work on the network.
pub struct Learner<'a> {
    gpu: &'a Gpu,
    pub optimizer: Optimizer,
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    points: wgpu::Buffer,
}

impl<'a> Learner<'a> {
    /// Takes at most so many steps at once.
    pub fn new(gpu: &'a Gpu, builder: Builder, most: u32) -> Result<Self, Error> {
        let device = &gpu.device;
        let builder = builder.tensor(NETWORK, &[LEN]).pipelines(&gpu.pipelines);
        let optimizer = builder.build_blocking(device, &gpu.queue)?;
        let points = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("points"),
            size: u64::from(STRIDE * most),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let entry = |binding, read_only| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only },
                has_dynamic_offset: binding == 0,
                min_binding_size: None,
            },
            count: None,
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("gradient"),
            entries: &[entry(0, true), entry(1, true), entry(2, false)],
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("gradient"),
            layout: Some(&device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some("gradient"),
                bind_group_layouts: &[Some(&layout)],
                ..Default::default()
            })),
            module: &device.create_shader_module(wgpu::include_wgsl!("gradient.wgsl")),
            entry_point: Some("find_gradient"),
            compilation_options: Default::default(),
            cache: None,
        });
        let one = Slice::new(&points, 0, size_of::<Batch>() as u64);
        let slices = [one, optimizer.weights(NETWORK)?, optimizer.gradients(NETWORK)?];
        let entries: Vec<_> = (0..)
            .zip(&slices)
            .map(|(binding, slice)| wgpu::BindGroupEntry { binding, resource: slice.binding() })
            .collect();
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("gradient"),
            layout: &layout,
            entries: &entries,
        });
        Ok(Self { gpu, optimizer, pipeline, bind_group, points })
    }

    /// Takes steps, each with the points of the task that it belongs to.
    pub fn train(&mut self, steps: u32, mut batch: impl FnMut(u32) -> Batch) -> Result<(), Error> {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut bytes = Vec::new();
        for step in 0..steps {
            let points = batch(self.optimizer.task(DEFAULT_GROUP)?);
            bytes.extend_from_slice(bytemuck::cast_slice::<[f32; 2], u8>(&points));
            bytes.resize((STRIDE * (step + 1)) as usize, 0);
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.bind_group, &[STRIDE * step]);
            pass.dispatch_workgroups(1, 1, 1);
            drop(pass);
            self.optimizer.step(&mut encoder)?;
        }
        self.gpu.queue.write_buffer(&self.points, 0, &bytes);
        self.gpu.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// Sets the weights, and all that follows them.
    pub fn upload(&mut self, weights: &[f32]) -> Result<(), Error> {
        self.optimizer.upload(NETWORK, weights)
    }

    pub fn download(&self, field: Field<'_>) -> Result<Vec<f32>, Error> {
        self.optimizer.download_blocking(field, NETWORK)
    }
}

const _: () = assert!(size_of::<Batch>() == 8 * POINTS && size_of::<Batch>() <= STRIDE as usize);
