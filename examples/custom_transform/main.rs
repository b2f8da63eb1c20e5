//! A gradient transformation of one's own: `cargo run --example custom_transform`.
//!
//! `soft_clip.rs` and `soft_clip.wgsl` are the transformation. Every seventh gradient is a hundred times too large; training
//! diverges, and with each value bounded smoothly it does not.

mod soft_clip;

use std::process::ExitCode;

use lookahead_wgpu::{
    Builder, Error, Field, Lookahead, Optimizer, gpu::Gpu, rules::Sgd, transform::GradientNoise,
};
use soft_clip::SoftClip;

/// The minimum of `f(w) = sum (w - target)^2 / 2`.
const TARGET: [f32; 4] = [1.03, -1.98, 0.57, 2.86];

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

fn run() -> Result<(), Error> {
    let gpu = Gpu::open_blocking(None)?;
    println!("{}", gpu.label());
    let builder = || Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::new(5, 0.5));
    let plain = train(&gpu, builder())?;
    let clipped = train(&gpu, builder().transform(SoftClip { bound: 0.5 }))?;
    // They are applied in the order in which they are given.
    let noisy = builder().transform(SoftClip { bound: 0.5 }).transform(GradientNoise::new(0.01));
    let noisy = train(&gpu, noisy)?;
    println!("loss after step   as it is   soft clipping   and gradient noise");
    for (index, ((plain, clipped), noisy)) in plain.iter().zip(&clipped).zip(&noisy).enumerate() {
        println!("{:15} {plain:10.1e} {clipped:15.5} {noisy:20.5}", (index + 1) * 70);
    }
    Ok(())
}

/// Trains for 350 steps, and gives the loss after every 70.
fn train(gpu: &Gpu, builder: Builder) -> Result<Vec<f32>, Error> {
    let mut optimizer = builder.tensor("w", &[4]).build_blocking(&gpu.device, &gpu.queue)?;
    let gradients = optimizer.gradients("w")?;
    let mut losses = Vec::new();
    for step in 1..=350 {
        // So small a gradient is as well computed here; `examples/quadratic` computes it on the GPU.
        let w = optimizer.download_blocking(Field::Weights, "w")?;
        let wild = if step % 7 == 0 { 100.0 } else { 1.0 };
        let gradient: Vec<f32> = w.iter().zip(TARGET).map(|(w, target)| wild * (w - target)).collect();
        gpu.queue.write_buffer(&gradients.buffer, gradients.offset, bytemuck::cast_slice(&gradient));
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        optimizer.step(&mut encoder)?;
        gpu.queue.submit([encoder.finish()]);
        if step % 70 == 0 {
            let w = optimizer.download_blocking(Field::Weights, "w")?;
            losses.push(w.iter().zip(TARGET).map(|(w, target)| (w - target).powi(2) / 2.0).sum());
        }
    }
    Ok(losses)
}
