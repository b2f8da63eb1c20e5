//! What a step takes, without a readback.

use std::{error::Error, time::Instant};

use lookahead_wgpu::{Optimizer, gpu::Gpu, rules::Sgd, wgpu::PollType};
use serde::Serialize;

use crate::{method::Method, quadratic::submit};

/// Values of the one tensor.
pub const VALUES: usize = 1_000_000;
/// Steps of a sample: whole cycles, of the k that divide it.
const STEPS: u32 = 100;
const SAMPLES: u32 = 5;

/// Seconds of a step, syncs and all, the best of some samples.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Time {
    pub method: &'static str,
    pub seconds: f64,
    /// Bytes on the device.
    pub memory: u64,
}

impl Time {
    /// Measures it.
    pub fn measure(gpu: &Gpu, method: &Method) -> Result<Self, Box<dyn Error>> {
        let builder = method.apply(Optimizer::builder(Sgd::new(1e-3)).tensor("w", &[VALUES]));
        let mut optimizer = builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue)?;
        let gradient: Vec<f32> = (0..VALUES).map(|index| (index % 7) as f32 - 3.0).collect();
        for slice in optimizer.buffers(lookahead_wgpu::Field::Gradients, "w")? {
            let len = (slice.size / 4) as usize;
            gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&gradient[..len]));
        }
        let mut best = f64::INFINITY;
        for _ in 0..SAMPLES {
            gpu.device.poll(PollType::wait_indefinitely())?;
            let began = Instant::now();
            submit(gpu, |encoder| (0..STEPS).try_for_each(|_| optimizer.step(encoder)))?;
            gpu.device.poll(PollType::wait_indefinitely())?;
            best = best.min(began.elapsed().as_secs_f64() / f64::from(STEPS));
        }
        Ok(Self { method: method.name, seconds: best, memory: optimizer.memory().total() })
    }
}
