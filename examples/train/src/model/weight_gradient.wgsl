// weight_gradient = inputs^T * output_gradient. The bias is one more row of the weight matrix, whose
// input is always one: bias_gradient = 1^T * output_gradient.

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> inputs: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> weight_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> bias_gradient: array<f32>;

fn size() -> Size {
    return Size(layer.inputs + 1u, layer.outputs, layer.rows);
}

fn left(row: u32, inner: u32) -> f32 {
    if (row < layer.inputs && inner < layer.rows) {
        return inputs[inner * layer.inputs + row];
    }
    return select(0.0, 1.0, row == layer.inputs && inner < layer.rows);
}

fn right(inner: u32, column: u32) -> f32 {
    if (inner < layer.rows && column < layer.outputs) {
        return output_gradient[inner * layer.outputs + column];
    }
    return 0.0;
}

fn store(row: u32, column: u32, sum: f32) {
    if (row < layer.inputs) {
        weight_gradient[row * layer.outputs + column] = sum;
    } else {
        bias_gradient[column] = sum;
    }
}
