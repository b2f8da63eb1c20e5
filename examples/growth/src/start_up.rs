//! The way to a first step, in parts.

use std::error::Error;

use lookahead_wgpu::{Builder, Limits, Lookahead, Optimizer, gpu::Gpu, rules::Adam};
use serde::Serialize;

use crate::measure::{median, wait};

/// Seconds from a builder to the end of the first step of a small Lookahead(Adam), with all pipelines made anew.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct StartUp {
    /// Settings checked, tensors laid out, the text of the shaders composed.
    pub plan: f64,
    /// What naga makes of the shaders, and the driver's pipelines.
    pub shaders: f64,
    /// Buffers and bind groups.
    pub buffers: f64,
    /// From its recording to its end.
    pub step: f64,
}

impl StartUp {
    /// The parts are told apart by leaving some out: a plan alone, and pipelines that are there already.
    pub fn measure(gpu: &Gpu) -> Result<Self, Box<dyn Error>> {
        // The first one in a process pays for the driver's own start.
        step(gpu, &mut build(gpu, builder())?)?;
        let limits = Limits::from(&gpu.device.limits());
        let plan = median(|| builder().plan(&limits).map(drop).map_err(Into::into))?;
        build(gpu, builder().pipelines(&gpu.pipelines))?;
        let shared = median(|| build(gpu, builder().pipelines(&gpu.pipelines)).map(drop))?;
        let anew = median(|| build(gpu, builder()).map(drop))?;
        let all = median(|| step(gpu, &mut build(gpu, builder())?))?;
        let rest = |larger: f64, smaller: f64| (larger - smaller).max(0.0);
        Ok(Self { plan, shaders: rest(anew, shared), buffers: rest(shared, plan), step: rest(all, anew) })
    }

    /// All of it.
    pub fn seconds(&self) -> f64 {
        self.plan + self.shaders + self.buffers + self.step
    }
}

fn builder() -> Builder {
    Optimizer::builder(Adam::default()).lookahead(Lookahead::default()).tensor("w", &[1000])
}

fn build(gpu: &Gpu, builder: Builder) -> Result<Optimizer, Box<dyn Error>> {
    Ok(builder.build_blocking(&gpu.device, &gpu.queue)?)
}

fn step(gpu: &Gpu, optimizer: &mut Optimizer) -> Result<(), Box<dyn Error>> {
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    optimizer.step(&mut encoder)?;
    gpu.queue.submit([encoder.finish()]);
    wait(gpu)
}
