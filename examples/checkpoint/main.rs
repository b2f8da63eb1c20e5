//! Training that stops and goes on where it was, to the bit: `cargo run --example checkpoint`.
//!
//! A snapshot is the whole training state: weights, slow weights, the rule's state, and where the run is within a
//! cycle of k steps. Here one run takes 60 steps; another is stopped after 27, in the middle of a cycle, saved, loaded
//! into a new optimizer and goes on. Both end with the same bits.
//!
//! What is not the optimizer's is yours to keep: the order of your data, say, or a learning-rate schedule that is a
//! function.

use std::{fs, path::Path, process::ExitCode};

use lookahead_wgpu::{Error, Field, Lookahead, Optimizer, Snapshot, gpu::Gpu, rules::Adam};

/// Steps of a whole run.
const STEPS: u32 = 60;
/// Steps before the stop; k is 5.
const STOP: u32 = 27;

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

fn run() -> Result<(), Error> {
    let gpu = Gpu::open_blocking(None)?;
    let path = std::env::temp_dir().join(format!("lookahead-example-{}.safetensors", std::process::id()));
    let outcome = compare(&gpu, &path);
    // It is there unless something failed before.
    let _ = fs::remove_file(&path);
    outcome
}

fn compare(gpu: &Gpu, path: &Path) -> Result<(), Error> {
    let mut whole = build(gpu)?;
    train(gpu, &mut whole, STEPS)?;

    let mut stopped = build(gpu)?;
    train(gpu, &mut stopped, STOP)?;
    stopped.export_blocking()?.save(path)?;
    drop(stopped);
    println!("stopped after {STOP} steps, in the middle of a cycle");

    // Another day, another process: build as before, and import.
    let mut resumed = build(gpu)?;
    resumed.import(&Snapshot::load(path)?)?;
    train(gpu, &mut resumed, STEPS - STOP)?;

    for field in [Field::Weights, Field::SlowWeights] {
        let [one, other] = [&whole, &resumed].map(|optimizer| optimizer.download_blocking(field, "w"));
        let (one, other) = (one?, other?);
        let same = one.iter().zip(&other).filter(|(one, other)| one.to_bits() == other.to_bits()).count();
        println!("{field}: {same} of {} values have the same bits after {STEPS} steps", one.len());
    }
    // Weights alone, for a program that only evaluates: `save_weights_blocking`; for PyTorch: `to_torch`.
    Ok(())
}

fn build(gpu: &Gpu) -> Result<Optimizer, Error> {
    let mut optimizer = Optimizer::builder(Adam::new(0.05))
        .lookahead(Lookahead::new(5, 0.5))
        .tensor("w", &[32, 8])
        .build_blocking(&gpu.device, &gpu.queue)?;
    let first: Vec<f32> = (0..256).map(|index| (index as f32 * 0.37).sin()).collect();
    optimizer.upload("w", &first)?;
    Ok(optimizer)
}

/// The loss is `|w|^2 / 2`, whose gradient is the weights.
fn train(gpu: &Gpu, optimizer: &mut Optimizer, steps: u32) -> Result<(), Error> {
    let (weights, gradients) = (optimizer.weights("w")?, optimizer.gradients("w")?);
    for _ in 0..steps {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let (from, to) = (&weights, &gradients);
        encoder.copy_buffer_to_buffer(&from.buffer, from.offset, &to.buffer, to.offset, from.size);
        optimizer.step(&mut encoder)?;
        gpu.queue.submit([encoder.finish()]);
    }
    Ok(())
}
