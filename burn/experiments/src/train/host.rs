//! The optimizer beside a model on another device: gradients go to it, and weights come back, by way of the host.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use lookahead_burn::lookahead_wgpu::{Slice, gpu::Gpu, wgpu};
use lookahead_wgpu::{Builder, Field, Gradients, Optimizer};

use super::error::TrainError;
use super::parameters::Layout;

/// Weights and gradients each in one buffer, so that a step is one write, one submission and one read.
pub struct Host {
    gpu: Gpu,
    layout: Layout,
    optimizer: Optimizer,
    weights: wgpu::Buffer,
    gradients: wgpu::Buffer,
    borrowed: Gradients,
    staging: wgpu::Buffer,
}

impl Host {
    /// Over the trained parameters of a module.
    pub fn new<M: Module>(builder: Builder, module: &M, gpu: Gpu) -> Result<Self, TrainError> {
        let layout = Layout::of(module);
        let buffer = |label, usage| {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: 4 * layout.len as u64,
                usage: usage | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let (weights, gradients) = (buffer("weights", storage), buffer("gradients", storage));
        let staging = buffer("read back", wgpu::BufferUsages::MAP_READ);
        let slices = |buffer: &wgpu::Buffer| {
            let slice = |start: usize, len: usize| Slice::new(buffer, 4 * start as u64, 4 * len as u64);
            layout.trained.iter().map(|it| slice(it.start, it.len)).collect::<Vec<_>>()
        };
        gpu.queue.write_buffer(&weights, 0, bytemuck::cast_slice(&layout.take(module)));
        let builder = layout
            .trained
            .iter()
            .zip(slices(&weights))
            .fold(builder, |builder, (it, slice)| builder.borrowed(&it.path, &it.shape, slice));
        let optimizer = builder.build_blocking(&gpu.device, &gpu.queue)?;
        let paths = layout.trained.iter().map(|it| it.path.as_str());
        let named: Vec<_> = paths.zip(slices(&gradients)).collect();
        let borrowed = optimizer.borrow_gradients_blocking(&named)?;
        Ok(Self { gpu, layout, optimizer, weights, gradients, borrowed, staging })
    }

    /// One step.
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientsParams) -> Result<M, TrainError> {
        let mut flatten =
            Flatten { layout: &self.layout, given: gradients, numbers: vec![0.0; self.layout.len], count: 0 };
        module.visit(&mut flatten);
        if flatten.count < self.layout.trained.len() {
            let problem = "or another one has no gradient in this step";
            let path = self.layout.trained.first().map(|it| it.path.clone()).unwrap_or_default();
            return Err(TrainError::Parameter { path, problem });
        }
        self.gpu.queue.write_buffer(&self.gradients, 0, bytemuck::cast_slice(&flatten.numbers));
        let mut encoder = self.encoder();
        self.optimizer.step_with(&mut encoder, &self.borrowed)?;
        self.read(encoder).map(|numbers| self.layout.put(module, &numbers))
    }

    /// The module with its weights as the optimizer has them.
    pub fn weights<M: Module>(&self, module: M) -> Result<M, TrainError> {
        self.read(self.encoder()).map(|numbers| self.layout.put(module, &numbers))
    }

    /// The module with its slow weights, or an average.
    pub fn with<M: Module>(&self, module: &M, field: Field<'_>) -> Result<M, TrainError> {
        let mut numbers = vec![0.0; self.layout.len];
        for it in &self.layout.trained {
            let values = self.optimizer.download_blocking(field, &it.path)?;
            numbers[it.start..it.start + it.len].copy_from_slice(&values);
        }
        Ok(self.layout.put(module.clone(), &numbers))
    }

    /// Submits and reads the weights.
    fn read(&self, mut encoder: wgpu::CommandEncoder) -> Result<Vec<f32>, TrainError> {
        encoder.copy_buffer_to_buffer(&self.weights, 0, &self.staging, 0, self.staging.size());
        self.gpu.queue.submit([encoder.finish()]);
        let (sender, receiver) = std::sync::mpsc::channel();
        self.staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // Nobody waits for it where the poll below failed.
            let _ = sender.send(result);
        });
        let lost = |reason: String| TrainError::Device { reason };
        self.gpu
            .device
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|problem| lost(problem.to_string()))?;
        match receiver.recv() {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => return Err(lost(problem.to_string())),
            Err(problem) => return Err(lost(problem.to_string())),
        }
        let view = self.staging.get_mapped_range(..).map_err(|problem| lost(problem.to_string()))?;
        let numbers = bytemuck::cast_slice(&view).to_vec();
        drop(view);
        self.staging.unmap();
        Ok(numbers)
    }

    /// To record into.
    pub fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Submits what was recorded.
    pub fn submit(&self, encoder: wgpu::CommandEncoder) {
        self.gpu.queue.submit([encoder.finish()]);
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The optimizer, to be changed.
    pub fn optimizer_mut(&mut self) -> &mut Optimizer {
        &mut self.optimizer
    }
}

struct Flatten<'a> {
    layout: &'a Layout,
    given: GradientsParams,
    numbers: Vec<f32>,
    count: usize,
}

impl ModuleVisitor for Flatten<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(it) = self.layout.find(param.id) else { return };
        let Some(gradient) = self.given.remove::<D>(param.id) else { return };
        let place = &mut self.numbers[it.start..it.start + it.len];
        for (place, value) in place.iter_mut().zip(gradient.into_data().iter::<f32>()) {
            *place = value;
        }
        self.count += 1;
    }
}
