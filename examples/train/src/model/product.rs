//! The three matrix products of a layer, each ready to be recorded.

use crate::device::uniform;
use crate::kernels::{Kernel, Kernels};

/// The side of the square of a product's result that a thread makes (`TILE` in `product.wgsl`).
const TILE: u32 = 8;
/// Workgroups along an axis of a dispatch: every device allows as many.
const MOST_GROUPS: u32 = 65_535;

/// What the kernels call a vec4: rows of activations are of whole ones, and so are the numbers of rows.
const LANES: u32 = 4;

/// The shape of a layer, on the host and for the kernels.
pub struct Layer {
    pub(crate) uniform: wgpu::Buffer,
    /// Images of a batch.
    pub(crate) rows: u32,
    /// Units before it.
    pub(crate) inputs: u32,
    /// Units of it.
    pub(crate) outputs: u32,
}

impl Layer {
    /// A layer, and whether a ReLU follows it.
    pub fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        [rows, inputs, outputs]: [u32; 3],
        has_relu: bool,
    ) -> Self {
        Self {
            uniform: uniform(device, queue, [rows, inputs, outputs, has_relu.into()]),
            rows,
            inputs,
            outputs,
        }
    }

    /// Bytes of a batch's values at so many units, as the products read and write them.
    pub fn bytes(rows: u32, units: u32) -> u64 {
        let whole = |count: u32| u64::from(count).next_multiple_of(LANES.into());
        4 * whole(rows) * whole(units)
    }

    /// Its weights.
    pub(crate) fn weights(&self) -> u64 {
        u64::from(self.inputs) * u64::from(self.outputs)
    }

    /// Whether each row of the weights begins at a multiple of four.
    pub(crate) fn has_fours(&self) -> bool {
        self.outputs.is_multiple_of(LANES)
    }
}

/// A matrix product with its operands.
pub struct Product {
    kernel: Kernel,
    bindings: wgpu::BindGroup,
    groups: [u32; 2],
}

impl Product {
    /// outputs = inputs * weight + bias, with the layer's ReLU. Buffers: inputs, weight, bias, outputs.
    pub fn forward(
        device: &wgpu::Device,
        kernels: &Kernels,
        layer: &Layer,
        buffers: [wgpu::BindingResource<'_>; 4],
    ) -> Self {
        let size = [layer.rows, layer.outputs];
        Self::new(device, kernels, kernels.forward.of(layer), layer, buffers, size)
    }

    /// weight gradient = inputs^T * output gradient, and the bias's. Buffers: inputs, output gradient, weight gradient,
    /// bias gradient.
    pub fn weight_gradient(
        device: &wgpu::Device,
        kernels: &Kernels,
        layer: &Layer,
        buffers: [wgpu::BindingResource<'_>; 4],
    ) -> Self {
        let size = [layer.inputs + 1, layer.outputs];
        Self::new(device, kernels, &kernels.weight_gradient, layer, buffers, size)
    }

    /// input gradient = output gradient * weight^T, where inputs are above zero. Buffers: output gradient, weight,
    /// inputs, input gradient.
    pub fn input_gradient(
        device: &wgpu::Device,
        kernels: &Kernels,
        layer: &Layer,
        buffers: [wgpu::BindingResource<'_>; 4],
    ) -> Self {
        let size = [layer.rows, layer.inputs];
        Self::new(device, kernels, kernels.input_gradient.of(layer), layer, buffers, size)
    }

    fn new(
        device: &wgpu::Device,
        kernels: &Kernels,
        kernel: &Kernel,
        layer: &Layer,
        [a, b, c, d]: [wgpu::BindingResource<'_>; 4],
        size: [u32; 2],
    ) -> Self {
        let bindings = kernel.bind(device, &[layer.uniform.as_entire_binding(), a, b, c, d]);
        Self { kernel: kernel.clone(), bindings, groups: groups(size, kernels.width) }
    }

    /// Records it.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.kernel.dispatch(pass, &self.bindings, &[], self.groups);
    }
}

/// Workgroups of so many threads for a result of so many rows and columns.
fn groups([rows, columns]: [u32; 2], width: u32) -> [u32; 2] {
    let tiles = u64::from(rows.div_ceil(TILE)) * u64::from(columns.div_ceil(TILE));
    let groups = tiles.div_ceil(width.into());
    let x = groups.min(MOST_GROUPS.into());
    [x as u32, groups.div_ceil(x) as u32]
}
