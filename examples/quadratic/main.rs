//! Your own kernel computes gradients where the optimizer reads them: `cargo run --example quadratic`.
//!
//! The loss, the mean squared error of a cubic at 64 points, is quadratic in the four coefficients.

use std::{error::Error, process::ExitCode};

use lookahead_wgpu::{
    Field, Lookahead, Optimizer, Slice,
    gpu::Gpu,
    rules::Adam,
    wgpu::{self, util::DeviceExt},
};

/// The coefficients of 1, x, x^2 and x^3 that the points are of.
const TRUE: [f32; 4] = [0.5, -1.0, 0.25, 2.0];

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

fn run() -> Result<(), Box<dyn Error>> {
    let Gpu { device, queue, .. } = Gpu::open_blocking(None)?;

    // The optimizer: its tensors have names, and their buffers are there to be bound.
    let mut optimizer = Optimizer::builder(Adam::new(0.05))
        .lookahead(Lookahead::new(5, 0.5))
        .tensor("cubic", &[4])
        .build_blocking(&device, &queue)?;

    // Your own: a kernel, and a bind group with the optimizer's slices in it.
    let points: Vec<[f32; 2]> =
        (0..64).map(|i| i as f32 / 31.5 - 1.0).map(|x| [x, cubic(&TRUE, x)]).collect();
    let buffer = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: Some("points"),
        contents: bytemuck::cast_slice(&points),
        usage: wgpu::BufferUsages::STORAGE,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("gradient"),
        layout: None,
        module: &device.create_shader_module(wgpu::include_wgsl!("fit.wgsl")),
        entry_point: Some("gradient"),
        compilation_options: Default::default(),
        cache: None,
    });
    let slices = [Slice::whole(&buffer), optimizer.weights("cubic")?, optimizer.gradients("cubic")?];
    let entries: Vec<_> = (0..)
        .zip(&slices)
        .map(|(binding, slice)| wgpu::BindGroupEntry { binding, resource: slice.binding() })
        .collect();
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("gradient"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });

    for step in 0..=300 {
        if step % 50 == 0 {
            let weights = optimizer.download_blocking(Field::Weights, "cubic")?;
            let error = |[x, y]: &[f32; 2]| (cubic(&weights, *x) - y).powi(2);
            let loss = points.iter().map(error).sum::<f32>() / points.len() as f32;
            println!("step {step:3}: loss {loss:.6}, weights {weights:.3?}");
        }
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
        drop(pass);
        optimizer.step(&mut encoder)?; // in the same encoder, right behind the gradients
        queue.submit([encoder.finish()]);
    }
    Ok(())
}

fn cubic(weights: &[f32], x: f32) -> f32 {
    weights.iter().rev().fold(0.0, |sum, weight| sum * x + weight)
}
