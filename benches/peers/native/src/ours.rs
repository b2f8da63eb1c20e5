//! This library, with buffers of its own. As in training, every step is an encoder and a submission.

use lookahead_wgpu::{Field, Lookahead, Optimizer, gpu::Gpu, rules::Adam, wgpu};

use crate::{
    peer::{ALPHA, BETAS, EPS, Failure, K, LEARNING_RATE, Method, Peer},
    tensors::Tensors,
};

struct Ours {
    gpu: Gpu,
    names: Vec<String>,
    optimizer: Optimizer,
}

pub fn make(gpu: &Gpu, tensors: &Tensors, method: Method) -> Result<Box<dyn Peer>, Failure> {
    let rule = Adam::new(LEARNING_RATE).betas(BETAS.0, BETAS.1).eps(EPS);
    let mut builder = Optimizer::builder(rule);
    if method == Method::Lookahead {
        builder = builder.lookahead(Lookahead::new(K, ALPHA));
    }
    let names: Vec<String> = (0..tensors.shapes.len()).map(|tensor| format!("tensor {tensor}")).collect();
    for (name, shape) in names.iter().zip(&tensors.shapes) {
        builder = builder.tensor(name, shape);
    }
    let optimizer = builder.build_blocking(&gpu.device, &gpu.queue)?;
    let mut ours = Ours { gpu: gpu.clone(), names, optimizer };
    for tensor in 0..tensors.shapes.len() {
        ours.optimizer.upload(&ours.names[tensor], &tensors.weights(tensor))?;
        ours.write(tensor, &tensors.gradient(tensor))?;
    }
    ours.step(0)?;
    Ok(Box::new(ours))
}

impl Ours {
    fn write(&self, tensor: usize, gradient: &[f32]) -> Result<(), Failure> {
        let mut rest: &[u8] = bytemuck::cast_slice(gradient);
        for slice in self.optimizer.buffers(Field::Gradients, &self.names[tensor])? {
            let (head, tail) = rest.split_at(slice.size as usize);
            self.gpu.queue.write_buffer(&slice.buffer, slice.offset, head);
            rest = tail;
        }
        Ok(())
    }
}

impl Peer for Ours {
    fn step(&mut self, count: u32) -> Result<(), Failure> {
        for _ in 0..count {
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            self.optimizer.step(&mut encoder)?;
            self.gpu.queue.submit([encoder.finish()]);
        }
        // What was written is carried out with a submission only, and there need be none.
        self.gpu.queue.submit([]);
        self.gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
        Ok(())
    }

    fn set_gradients(&mut self, gradients: &[Vec<f32>]) -> Result<(), Failure> {
        gradients.iter().enumerate().try_for_each(|(tensor, gradient)| self.write(tensor, gradient))
    }

    fn weights(&mut self) -> Result<Vec<Vec<f32>>, Failure> {
        let download = |name: &String| Ok(self.optimizer.download_blocking(Field::Weights, name)?);
        self.names.iter().map(download).collect()
    }
}
