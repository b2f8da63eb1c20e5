// input_gradient = (output_gradient * weight^T) where the ReLU that made the inputs let them through,
// and zero elsewhere.

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<u32>;
@group(0) @binding(3) var<storage, read> inputs: array<f32>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;

fn size() -> Size {
    return Size(layer.rows, layer.inputs, layer.outputs);
}

fn left(row: u32, inner: u32) -> f32 {
    if (row < layer.rows && inner < layer.outputs) {
        return output_gradient[row * layer.outputs + inner];
    }
    return 0.0;
}

fn right(inner: u32, column: u32) -> f32 {
    if (inner < layer.outputs && column < layer.inputs) {
        let i = column * layer.outputs + inner;
        return decode(weight[word_of(i)], i);
    }
    return 0.0;
}

fn store(row: u32, column: u32, sum: f32) {
    let i = row * layer.inputs + column;
    input_gradient[i] = select(0.0, sum, inputs[i] > 0.0);
}
