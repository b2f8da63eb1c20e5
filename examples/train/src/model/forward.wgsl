// outputs = inputs * weight + bias, then a ReLU where one follows. `values/` says how weight and bias are read,
// `weights/` how many at once.

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> inputs: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<u32>;
@group(0) @binding(4) var<storage, read_write> outputs: array<vec4f>;

fn size() -> Size {
    return Size(layer.rows, layer.outputs, layer.inputs);
}

fn left(row: u32, inner: u32) -> mat4x4f {
    let stride = vec4s(layer.inputs);
    let i = row * stride + inner / 4u;
    return transpose(mat4x4f(inputs[i], inputs[i + stride], inputs[i + 2u * stride], inputs[i + 3u * stride]));
}

fn right(inner: u32, column: u32) -> mat4x4f {
    return mat4x4f(
        weights(inner, column),
        weights(inner + 1u, column),
        weights(inner + 2u, column),
        weights(inner + 3u, column),
    );
}

fn bias_of(column: u32) -> f32 {
    return decode(bias[word_of(column)], column);
}

fn store(row: u32, column: u32, sums: vec4f) {
    let biases =
        vec4f(bias_of(column), bias_of(column + 1u), bias_of(column + 2u), bias_of(column + 3u));
    let sum = sums + biases;
    let output = select(sum, max(sum, vec4f()), layer.relu == 1u);
    let is_inside = column + LANES < vec4u(layer.outputs);
    outputs[row * vec4s(layer.outputs) + column / 4u] = select(vec4f(), output, is_inside);
}
