//! The gradient's norm, logged every ten steps while training goes on: `cargo run --example norms`.
//!
//! `download_gradient_norms` begins the copy and returns; the training loop never waits. Whoever wants the value
//! does: here a thread that prints it.

use std::{process::ExitCode, sync::mpsc, thread};

use futures::{FutureExt, future::BoxFuture};
use lookahead_wgpu::{Error, Lookahead, Optimizer, gpu::Gpu, rules::Sgd};

/// A step, and its norm under way.
type Line = (u32, BoxFuture<'static, Result<Vec<f64>, Error>>);

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

fn run() -> Result<(), Error> {
    let gpu = Gpu::open_blocking(None)?;
    let mut optimizer = Optimizer::builder(Sgd::new(0.02).momentum(0.9))
        .lookahead(Lookahead::new(5, 0.5))
        .gradient_norms() // clipping by norm or a guard would take it, too
        .tensor("w", &[64, 64])
        .build_blocking(&gpu.device, &gpu.queue)?;
    optimizer.upload("w", &[1.0; 64 * 64])?;
    let (weights, gradients) = (optimizer.weights("w")?, optimizer.gradients("w")?);

    let (lines, received) = mpsc::channel::<Line>();
    let logger = thread::spawn(move || {
        received.iter().try_for_each(|(step, norms)| {
            let norms = pollster::block_on(norms)?;
            println!("step {step:3}: gradient norm {:.6}", norms[0]);
            Ok(())
        })
    });
    for step in 1..=100 {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        // The loss is |w|^2 / 2, whose gradient is w.
        let (from, to) = (&weights, &gradients);
        encoder.copy_buffer_to_buffer(&from.buffer, from.offset, &to.buffer, to.offset, from.size);
        optimizer.step(&mut encoder)?;
        gpu.queue.submit([encoder.finish()]);
        if step % 10 == 0 {
            // Of this step, whatever is submitted meanwhile. A logger that has failed ends the program below.
            let _ = lines.send((step, optimizer.download_gradient_norms().boxed()));
        }
    }
    drop(lines);
    logger.join().unwrap_or(Ok(()))
}
