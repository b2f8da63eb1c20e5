//! Lookahead over buffers that you have: `cargo run --example borrowed`.
//!
//! A model often holds all its weights in one buffer, and all its gradients in another. The optimizer works on ranges
//! of them in place: it allocates its state and the slow weights, and no copy of the weights. Where a range begins
//! and how long it is, in bytes, is a `Slice`; the buffers need the usage `STORAGE`, no alignment beyond the 4 bytes
//! of a number, and no order.
//!
//! The loss is `|w - target|^2 / 2` for each weight; its gradient is computed on the CPU, to keep this short.
//! `examples/quadratic` has a kernel for it.

use std::process::ExitCode;

use lookahead_wgpu::{Error, Field, Lookahead, Optimizer, Slice, gpu::Gpu, rules::Adam, wgpu};

/// What the weights are trained towards: all twelve of `layer.weight`, then all three of `layer.bias`.
const TARGET: [f32; 15] =
    [0.9, -0.4, 0.1, 0.7, -0.8, 0.3, 0.6, -0.2, 0.5, -0.9, 0.4, -0.1, 0.25, -0.75, 0.05];

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

fn run() -> Result<(), Error> {
    let Gpu { device, queue, .. } = Gpu::open_blocking(None)?;

    // Yours: a buffer for every weight of the model, and one for every gradient. New buffers are zero.
    let buffer = |label| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: size_of_val(&TARGET) as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let (weights, gradients) = (buffer("my weights"), buffer("my gradients"));
    // The optimizer is told where each tensor lies: 12 numbers from byte 0 on, and 3 from byte 48 on.
    let mut optimizer = Optimizer::builder(Adam::new(0.05))
        .lookahead(Lookahead::new(5, 0.5))
        .borrowed("layer.weight", &[4, 3], Slice::new(&weights, 0, 48))
        .borrowed("layer.bias", &[3], Slice::new(&weights, 48, 12))
        .build_blocking(&device, &queue)?;
    // And where its gradients are. That may be another place at every step; this is made once and reused.
    let places = optimizer.borrow_gradients_blocking(&[
        ("layer.weight", Slice::new(&gradients, 0, 48)),
        ("layer.bias", Slice::new(&gradients, 48, 12)),
    ])?;
    println!("The optimizer's own memory on the GPU:\n{}", optimizer.memory());

    for step in 0..=200 {
        let mut values = optimizer.download_blocking(Field::Weights, "layer.weight")?;
        values.extend(optimizer.download_blocking(Field::Weights, "layer.bias")?);
        let gradient: Vec<f32> = values.iter().zip(TARGET).map(|(weight, target)| weight - target).collect();
        if step % 40 == 0 {
            let loss: f32 = gradient.iter().map(|difference| difference * difference / 2.0).sum();
            println!("step {step:3}: loss {loss:.6}");
        }
        queue.write_buffer(&gradients, 0, bytemuck::cast_slice(&gradient));
        let mut encoder = device.create_command_encoder(&Default::default());
        optimizer.step_with(&mut encoder, &places)?; // `step`, for gradients that are yours
        queue.submit([encoder.finish()]);
    }
    Ok(())
}
