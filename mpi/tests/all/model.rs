//! A model to train: a few tensors, and gradients that are made on the host.

use lookahead_mpi::{Report, Workers};
use lookahead_wgpu::{Field, Group, Optimizer, gpu::Gpu, wgpu};

/// Of less than a block, some blocks, and one value.
pub const TENSORS: [(&str, &[usize]); 3] = [("a", &[37]), ("b", &[3, 150]), ("c", &[1])];

pub fn gpu() -> Gpu {
    Gpu::open_blocking(None).unwrap()
}

/// Values that look random and are the same in every run.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 2.0f32.powi(23) - 1.0
    };
    // The first ones still look like the seed.
    (0..len + 8).map(|_| next()).skip(8).collect()
}

fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The weights that all ranks begin with.
pub fn first_weights() -> Vec<Vec<f32>> {
    (0..).zip(TENSORS).map(|(seed, (_, shape))| noise(len(shape), seed)).collect()
}

/// A rank's gradients at a step.
pub fn scripted(rank: usize, step: u64) -> Vec<Vec<f32>> {
    let seed = 1000 + 10 * step + 100_000 * rank as u64;
    (seed..).zip(TENSORS).map(|(seed, (_, shape))| noise(len(shape), seed)).collect()
}

/// An optimizer over these tensors, with what `with` adds.
pub fn build(gpu: &Gpu, with: lookahead_wgpu::Builder) -> Optimizer {
    built(gpu, TENSORS.iter().fold(with, |builder, (name, shape)| builder.tensor(name, shape)))
}

/// The same with each tensor in a group of its own, of its name.
pub fn build_in_groups(gpu: &Gpu, with: lookahead_wgpu::Builder) -> Optimizer {
    let grouped = |builder: lookahead_wgpu::Builder, (name, shape): &(&str, &[usize])| {
        builder.group(Group::new(name)).tensor_in(name, name, shape)
    };
    built(gpu, TENSORS.iter().fold(with, grouped))
}

fn built(gpu: &Gpu, builder: lookahead_wgpu::Builder) -> Optimizer {
    let mut optimizer = builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
    for ((name, _), values) in TENSORS.iter().zip(first_weights()) {
        optimizer.upload(name, &values).unwrap();
    }
    optimizer
}

pub fn write(gpu: &Gpu, optimizer: &Optimizer, gradients: &[Vec<f32>]) {
    for ((name, _), values) in TENSORS.iter().zip(gradients) {
        let slice = optimizer.gradients(name).unwrap();
        gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(values));
    }
}

pub fn encoder(gpu: &Gpu) -> wgpu::CommandEncoder {
    gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

/// A step on one machine.
pub fn plain_step(gpu: &Gpu, optimizer: &mut Optimizer, gradients: &[Vec<f32>]) {
    write(gpu, optimizer, gradients);
    let mut encoder = encoder(gpu);
    optimizer.step(&mut encoder).unwrap();
    gpu.queue.submit([encoder.finish()]);
}

/// A step of a worker.
pub fn step(
    gpu: &Gpu,
    workers: &mut Workers,
    optimizer: &mut Optimizer,
    gradients: &[Vec<f32>],
) -> Option<Report> {
    write(gpu, optimizer, gradients);
    workers.step(optimizer, encoder(gpu)).unwrap()
}

pub fn read(optimizer: &Optimizer, field: Field<'_>) -> Vec<Vec<f32>> {
    optimizer.download_all_blocking(field).unwrap()
}

/// All that an optimizer keeps of its tensors, by name, as bits.
pub fn bits(optimizer: &Optimizer) -> Vec<(String, Vec<u32>)> {
    let snapshot = optimizer.export_blocking().unwrap();
    let fields = snapshot.tensors.iter().flat_map(|tensor| {
        tensor.fields.iter().map(|(field, values)| {
            (format!("{field}/{}", tensor.name), values.iter().map(|value| value.to_bits()).collect())
        })
    });
    fields.collect()
}

pub fn largest_difference(found: &[Vec<f32>], expected: &[Vec<f64>]) -> f64 {
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    pairs
        .map(|(found, expected)| (f64::from(*found) - expected).abs())
        .fold(0.0, |most, difference| if difference.is_nan() { f64::INFINITY } else { difference.max(most) })
}

pub fn widened(tensors: &[Vec<f32>]) -> Vec<Vec<f64>> {
    tensors.iter().map(|values| values.iter().map(|value| f64::from(*value)).collect()).collect()
}
