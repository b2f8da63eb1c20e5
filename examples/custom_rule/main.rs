//! A rule of one's own, alone and with Lookahead around it: `cargo run --example custom_rule`.
//!
//! `signum.rs` and `signum.wgsl` are the rule. Its steps are all of one size, so that it ends up jumping
//! around the minimum; with Lookahead around it the jumps are smaller.

mod signum;

use std::process::ExitCode;

use lookahead_wgpu::{Builder, Error, Field, Lookahead, Optimizer, gpu::Gpu};
use signum::Signum;

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
    let rule = Signum { lr: 0.1, beta: 0.8 };
    let alone = train(&gpu, Optimizer::builder(rule.clone()))?;
    let inside = train(&gpu, Optimizer::builder(rule).lookahead(Lookahead::new(6, 0.5)))?;
    println!("loss after step   Signum   Lookahead(Signum)");
    for (index, (alone, inside)) in alone.iter().zip(&inside).enumerate() {
        println!("{:15} {alone:8.4} {inside:19.4}", (index + 1) * 60);
    }
    Ok(())
}

/// Trains for 300 steps, and gives the loss after every 60.
fn train(gpu: &Gpu, builder: Builder) -> Result<Vec<f32>, Error> {
    let mut optimizer = builder.tensor("w", &[4]).build_blocking(&gpu.device, &gpu.queue)?;
    let gradients = optimizer.gradients("w")?;
    let mut losses = Vec::new();
    for step in 1..=300 {
        // So small a gradient is as well computed here; `examples/quadratic` computes it on the GPU.
        let w = optimizer.download_blocking(Field::Weights, "w")?;
        let gradient: Vec<f32> = w.iter().zip(TARGET).map(|(w, target)| w - target).collect();
        gpu.queue.write_buffer(&gradients.buffer, gradients.offset, bytemuck::cast_slice(&gradient));
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        optimizer.step(&mut encoder)?;
        gpu.queue.submit([encoder.finish()]);
        if step % 60 == 0 {
            let w = optimizer.download_blocking(Field::Weights, "w")?;
            losses.push(w.iter().zip(TARGET).map(|(w, target)| (w - target).powi(2) / 2.0).sum());
        }
    }
    Ok(losses)
}
