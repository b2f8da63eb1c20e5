//! The kernel that finds gradients where the optimizer reads them.

use crate::data::{Data, FEATURES};
use lookahead_wgpu::{Slice, gpu::Gpu, wgpu};
use wgpu::util::DeviceExt;

/// The gradient's kernel with the samples on the device.
pub struct Gradients {
    pipeline: wgpu::ComputePipeline,
    samples: wgpu::Buffer,
    /// All samples, then those of each mini-batch.
    order: wgpu::Buffer,
    /// Which of `order` are taken: all samples, or a mini-batch.
    all: wgpu::Buffer,
    batch: wgpu::Buffer,
    samples_of: Samples,
}

/// What the kernel is told besides the weights.
#[derive(Debug, Clone, Copy)]
struct Samples {
    all: u32,
    batch: u32,
    lambda: f32,
}

/// The kernel with some weights, and where their gradient goes.
pub struct Gradient(wgpu::BindGroup);

impl Gradients {
    /// `batches`: the samples of all mini-batches, one after the other, each of `batch` samples.
    pub fn new(gpu: &Gpu, data: &Data, batches: &[u32], batch: u32, lambda: f64) -> Self {
        let device = &gpu.device;
        let buffer = |label, contents: &[u8], usage| {
            let usage = usage | wgpu::BufferUsages::COPY_DST;
            device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: Some(label),
                contents,
                usage,
            })
        };
        let row = |(features, label): (&[f64; FEATURES], &f64)| {
            features.iter().chain([label]).map(|value| *value as f32).collect::<Vec<_>>()
        };
        let samples: Vec<f32> = data.features.iter().zip(&data.labels).flat_map(row).collect();
        let count = data.samples() as u32;
        let order: Vec<u32> = (0..count).chain(batches.iter().copied()).collect();
        let samples_of = Samples { all: count, batch, lambda: lambda as f32 };
        Self {
            pipeline: device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some("gradient"),
                layout: None,
                module: &device.create_shader_module(wgpu::include_wgsl!("gradient.wgsl")),
                entry_point: Some("find"),
                compilation_options: Default::default(),
                cache: None,
            }),
            samples: buffer("samples", bytemuck::cast_slice(&samples), wgpu::BufferUsages::STORAGE),
            order: buffer("order", bytemuck::cast_slice(&order), wgpu::BufferUsages::STORAGE),
            all: buffer("all samples", &samples_of.told(0, count), wgpu::BufferUsages::UNIFORM),
            batch: buffer("mini-batch", &samples_of.told(count, batch), wgpu::BufferUsages::UNIFORM),
            samples_of,
        }
    }

    /// The gradient of all samples or of the mini-batch, at these weights.
    pub fn at(&self, gpu: &Gpu, is_full: bool, weights: &Slice, gradient: &Slice) -> Gradient {
        let told = Slice::whole(if is_full { &self.all } else { &self.batch });
        let (samples, order) = (Slice::whole(&self.samples), Slice::whole(&self.order));
        let slices = [&samples, &order, &told, weights, gradient];
        let entries = (0..).zip(&slices);
        let entries: Vec<_> = entries
            .map(|(binding, slice)| wgpu::BindGroupEntry { binding, resource: slice.binding() })
            .collect();
        Gradient(gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("gradient"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries,
        }))
    }

    /// From what is submitted next, the mini-batch is that of this step.
    pub fn draw(&self, gpu: &Gpu, step: u32) {
        let Samples { all, batch, .. } = self.samples_of;
        gpu.queue.write_buffer(&self.batch, 0, &self.samples_of.told(all + step * batch, batch));
    }

    /// Records kernels.
    pub fn record<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        gradients: impl IntoIterator<Item = &'a Gradient>,
    ) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        for Gradient(bind_group) in gradients {
            pass.set_bind_group(0, bind_group, &[]);
            pass.dispatch_workgroups(1, 1, 1);
        }
    }
}

impl Samples {
    /// The words of `Batch`.
    fn told(&self, first: u32, count: u32) -> Vec<u8> {
        bytemuck::cast_slice(&[first, count, self.lambda.to_bits(), 0]).to_vec()
    }
}
