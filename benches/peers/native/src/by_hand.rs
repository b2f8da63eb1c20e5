//! WGSL as one writes it for a first optimizer: a dispatch a tensor, one value a thread, bind groups that are made once,
//! an encoder and a submission a step; and a kernel of its own for Lookahead's sync.

use lookahead_wgpu::{gpu::Gpu, wgpu};

use crate::{
    peer::{BETAS, EPS, Failure, K, LEARNING_RATE, Method, Peer},
    tensors::Tensors,
};

/// Threads of a workgroup, as in the shaders.
const WORKGROUP: usize = 64;

struct ByHand {
    gpu: Gpu,
    /// What is told to every step.
    words: wgpu::Buffer,
    adam: wgpu::ComputePipeline,
    sync: wgpu::ComputePipeline,
    tensors: Vec<Tensor>,
    steps: u32,
}

struct Tensor {
    workgroups: u32,
    weights: wgpu::Buffer,
    gradient: wgpu::Buffer,
    adam: wgpu::BindGroup,
    /// With Lookahead.
    sync: Option<wgpu::BindGroup>,
}

pub fn make(gpu: &Gpu, tensors: &Tensors, method: Method) -> Result<Box<dyn Peer>, Failure> {
    let words = buffer(gpu, 32, wgpu::BufferUsages::UNIFORM);
    let adam = pipeline(gpu, "adam", include_str!("adam.wgsl"));
    let sync = pipeline(gpu, "sync", include_str!("sync.wgsl"));
    let most = gpu.device.limits().max_compute_workgroups_per_dimension as usize;
    let mut made = vec![];
    for tensor in 0..tensors.shapes.len() {
        let workgroups = tensors.len(tensor).div_ceil(WORKGROUP);
        if workgroups > most {
            return Err(
                format!("a tensor of {} values is too large for these kernels", tensors.len(tensor)).into()
            );
        }
        let zeros = vec![0.0; tensors.len(tensor)];
        let weights = storage(gpu, &tensors.weights(tensor));
        let gradient = storage(gpu, &tensors.gradient(tensor));
        let [first, second] = [(); 2].map(|()| storage(gpu, &zeros));
        let slow = (method == Method::Lookahead).then(|| storage(gpu, &tensors.weights(tensor)));
        made.push(Tensor {
            workgroups: workgroups as u32,
            adam: bind_group(gpu, &adam, &[&words, &weights, &gradient, &first, &second]),
            sync: slow.map(|slow| bind_group(gpu, &sync, &[&weights, &slow])),
            weights,
            gradient,
        });
        // Or the copies of all tensors would wait in memory at once.
        land(gpu)?;
    }
    Ok(Box::new(ByHand { gpu: gpu.clone(), words, adam, sync, tensors: made, steps: 0 }))
}

impl ByHand {
    /// What `adam.wgsl` calls `Step`.
    fn tell(&self) {
        let power = |beta: f64| (1.0 - beta.powf(f64::from(self.steps))) as f32;
        let words = [
            LEARNING_RATE as f32,
            BETAS.0 as f32,
            BETAS.1 as f32,
            EPS as f32,
            power(BETAS.0),
            power(BETAS.1),
        ];
        self.gpu.queue.write_buffer(&self.words, 0, bytemuck::cast_slice(&words));
    }
}

impl Peer for ByHand {
    fn step(&mut self, count: u32) -> Result<(), Failure> {
        for _ in 0..count {
            self.steps += 1;
            self.tell();
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(&self.adam);
                for tensor in &self.tensors {
                    pass.set_bind_group(0, &tensor.adam, &[]);
                    pass.dispatch_workgroups(tensor.workgroups, 1, 1);
                }
                if self.steps.is_multiple_of(K) {
                    pass.set_pipeline(&self.sync);
                    for tensor in &self.tensors {
                        let Some(bind_group) = &tensor.sync else { continue };
                        pass.set_bind_group(0, bind_group, &[]);
                        pass.dispatch_workgroups(tensor.workgroups, 1, 1);
                    }
                }
            }
            self.gpu.queue.submit([encoder.finish()]);
        }
        land(&self.gpu)
    }

    fn set_gradients(&mut self, gradients: &[Vec<f32>]) -> Result<(), Failure> {
        for (tensor, gradient) in self.tensors.iter().zip(gradients) {
            self.gpu.queue.write_buffer(&tensor.gradient, 0, bytemuck::cast_slice(gradient));
        }
        land(&self.gpu)
    }

    fn weights(&mut self) -> Result<Vec<Vec<f32>>, Failure> {
        self.tensors.iter().map(|tensor| read(&self.gpu, &tensor.weights)).collect()
    }
}

/// Waits until what was written and submitted is done.
fn land(gpu: &Gpu) -> Result<(), Failure> {
    gpu.queue.submit([]);
    gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(())
}

fn buffer(gpu: &Gpu, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size,
        usage: usage | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

fn storage(gpu: &Gpu, values: &[f32]) -> wgpu::Buffer {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    let buffer = buffer(gpu, bytes.len() as u64, usage);
    gpu.queue.write_buffer(&buffer, 0, bytes);
    buffer
}

fn pipeline(gpu: &Gpu, entry: &str, wgsl: &str) -> wgpu::ComputePipeline {
    let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(entry),
        source: wgpu::ShaderSource::Wgsl(wgsl.into()),
    });
    gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(entry),
        layout: None,
        module: &module,
        entry_point: Some(entry),
        compilation_options: Default::default(),
        cache: None,
    })
}

fn bind_group(gpu: &Gpu, pipeline: &wgpu::ComputePipeline, buffers: &[&wgpu::Buffer]) -> wgpu::BindGroup {
    let entries = (0..).zip(buffers);
    let entries = entries
        .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() });
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries.collect::<Vec<_>>(),
    })
}

fn read(gpu: &Gpu, from: &wgpu::Buffer) -> Result<Vec<f32>, Failure> {
    let staging = buffer(gpu, from.size(), wgpu::BufferUsages::MAP_READ);
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(from, 0, &staging, 0, from.size());
    gpu.queue.submit([encoder.finish()]);
    let (sender, receiver) = std::sync::mpsc::channel();
    staging.map_async(wgpu::MapMode::Read, .., move |result| {
        // Where no one waits any more, no one misses it.
        let _ = sender.send(result);
    });
    gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
    receiver.recv()??;
    Ok(bytemuck::cast_slice(&staging.get_mapped_range(..)?).to_vec())
}
