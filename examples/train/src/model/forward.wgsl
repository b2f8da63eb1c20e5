// outputs = inputs * weight + bias, then a ReLU where one follows. `values/` says how weight and bias are read.

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> inputs: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<u32>;
@group(0) @binding(4) var<storage, read_write> outputs: array<f32>;

fn size() -> Size {
    return Size(layer.rows, layer.outputs, layer.inputs);
}

fn left(row: u32, inner: u32) -> f32 {
    if (row < layer.rows && inner < layer.inputs) {
        return inputs[row * layer.inputs + inner];
    }
    return 0.0;
}

fn right(inner: u32, column: u32) -> f32 {
    if (inner < layer.inputs && column < layer.outputs) {
        let i = inner * layer.outputs + column;
        return decode(weight[word_of(i)], i);
    }
    return 0.0;
}

fn store(row: u32, column: u32, sum: f32) {
    let output = sum + decode(bias[word_of(column)], column);
    outputs[row * layer.outputs + column] = select(output, max(output, 0.0), layer.relu == 1u);
}
