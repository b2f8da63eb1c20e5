//! What is multiplied: the products of the layers that the program trains.

use crate::{Failure, naive::Naive};
use lookahead_wgpu::{gpu::Gpu, wgpu};
use train::{
    device::storage,
    kernels::Kernels,
    model::product::{Layer, Product},
};

/// One of a layer's products.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Forward,
    WeightGradient,
    InputGradient,
}

/// A product of one layer.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub kind: Kind,
    pub rows: u32,
    pub inputs: u32,
    pub outputs: u32,
}

use Kind::{Forward, InputGradient, WeightGradient};

/// Layers with the products that they need: the digits' 64-128-10, Fashion-MNIST's 784-128-10, both in batches of 64
/// and tested in batches of 256, and a square.
const LAYERS: [([u32; 3], &[Kind]); 6] = [
    ([64, 64, 128], &[Forward, WeightGradient]),
    ([64, 128, 10], &[Forward, WeightGradient, InputGradient]),
    ([64, 784, 128], &[Forward, WeightGradient]),
    ([256, 784, 128], &[Forward]),
    ([256, 128, 10], &[Forward]),
    ([512, 512, 512], &[Forward, WeightGradient, InputGradient]),
];

/// Both ways to make one product, over the same operands.
pub struct Works {
    pub naive: Naive,
    pub shipped: Product,
    results: [wgpu::Buffer; 2],
}

impl Case {
    pub fn all() -> impl Iterator<Item = Self> {
        LAYERS.iter().flat_map(|&([rows, inputs, outputs], kinds)| {
            kinds.iter().map(move |&kind| Self { kind, rows, inputs, outputs })
        })
    }

    pub fn name(&self) -> &'static str {
        match self.kind {
            Forward => "forward",
            WeightGradient => "weight gradient",
            InputGradient => "input gradient",
        }
    }

    /// Rows, inner length and columns.
    pub fn size(&self) -> [u32; 3] {
        let Self { rows, inputs, outputs, .. } = *self;
        match self.kind {
            Forward => [rows, inputs, outputs],
            WeightGradient => [inputs, rows, outputs],
            InputGradient => [rows, outputs, inputs],
        }
    }

    /// Multiplications and additions.
    pub fn operations(&self) -> f64 {
        2.0 * self.size().map(f64::from).iter().product::<f64>()
    }

    /// What `naive.wgsl` is told.
    pub fn words(&self) -> [u32; 8] {
        let [rows, inner, columns] = self.size();
        let [inputs, outputs] = [self.inputs, self.outputs].map(|units| units.next_multiple_of(4));
        let strides = match self.kind {
            Forward => [inputs, 1, self.outputs, 1],
            WeightGradient => [1, inputs, outputs, 1],
            InputGradient => [outputs, 1, 1, self.outputs],
        };
        let [a, b, c, d] = strides;
        [rows, columns, inner, a, b, c, d, 0]
    }

    pub fn works(&self, gpu: &Gpu, kernels: &Kernels) -> Works {
        let Self { rows, inputs, outputs, .. } = *self;
        let device = &gpu.device;
        let layer = Layer::new(device, &gpu.queue, [rows, inputs, outputs], false);
        let [activations, gradient, back] = [inputs, outputs, inputs].map(|units| {
            let buffer = storage(device, "values", Layer::bytes(rows, units));
            fill(gpu, &buffer, rows, units, units.next_multiple_of(4));
            buffer
        });
        let weight = storage(device, "weight", 4 * u64::from(inputs) * u64::from(outputs));
        fill(gpu, &weight, inputs, outputs, outputs);
        let bias = storage(device, "bias", 4 * u64::from(outputs));
        let [size, _, columns] = self.size();
        let result = storage(device, "result", 4 * u64::from(size) * u64::from(columns));
        let whole = wgpu::Buffer::as_entire_binding;
        match self.kind {
            Forward => {
                let out = storage(device, "outputs", Layer::bytes(rows, outputs));
                let buffers = [&activations, &weight, &bias, &out].map(whole);
                let shipped = Product::forward(device, kernels, &layer, buffers);
                let naive = Naive::new(gpu, self, [&activations, &weight, &result]);
                Works { naive, shipped, results: [result, out] }
            }
            WeightGradient => {
                let out = storage(device, "weight gradient", weight.size());
                let buffers = [&activations, &gradient, &out, &bias].map(whole);
                let shipped = Product::weight_gradient(device, kernels, &layer, buffers);
                let naive = Naive::new(gpu, self, [&activations, &gradient, &result]);
                Works { naive, shipped, results: [result, out] }
            }
            InputGradient => {
                let buffers = [&gradient, &weight, &activations, &back].map(whole);
                let shipped = Product::input_gradient(device, kernels, &layer, buffers);
                let naive = Naive::new(gpu, self, [&gradient, &weight, &result]);
                Works { naive, shipped, results: [result, back] }
            }
        }
    }

    /// Refuses works that do not make the same; both were recorded before.
    pub fn check(&self, gpu: &Gpu, works: &Works) -> Result<(), Failure> {
        let [naive, shipped] = works.results.each_ref().map(|buffer| read(gpu, buffer));
        let (naive, shipped) = (naive?, shipped?);
        let [rows, _, columns] = self.size().map(|length| length as usize);
        // A weight gradient's rows follow each other without a gap.
        let stride = if self.kind == WeightGradient { columns } else { columns.next_multiple_of(4) };
        for row in 0..rows {
            let pairs = naive[row * columns..].iter().zip(&shipped[row * stride..]).take(columns);
            for (&a, &b) in pairs {
                if (a - b).abs() > 1e-3 * a.abs().max(1.0) {
                    return Err(format!("the {} of {:?} is {b}, not {a}", self.name(), self.size()).into());
                }
            }
        }
        Ok(())
    }
}

/// Noise above zero, so that a ReLU lets all of it through; zeros at the ends of rows.
fn fill(gpu: &Gpu, buffer: &wgpu::Buffer, rows: u32, units: u32, stride: u32) {
    let noise = |i: u32| 0.55 + 0.5 * (i as f32 * 12.9898).sin();
    let row = |row| (0..stride).map(move |i| if i < units { noise(row * units + i) } else { 0.0 });
    let values: Vec<f32> = (0..rows).flat_map(row).collect();
    gpu.queue.write_buffer(buffer, 0, bytemuck::cast_slice(&values));
}

fn read(gpu: &Gpu, buffer: &wgpu::Buffer) -> Result<Vec<f32>, Failure> {
    let staging = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("staging"),
        size: buffer.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
    gpu.queue.submit([encoder.finish()]);
    // What goes wrong shows where the range is taken.
    staging.map_async(wgpu::MapMode::Read, .., |_| ());
    gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?))
}
