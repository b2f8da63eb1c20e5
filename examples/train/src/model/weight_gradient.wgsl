// weight_gradient = inputs^T * output_gradient. The bias is one more row of the weight matrix, whose
// input is always one: bias_gradient = 1^T * output_gradient.

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> inputs: array<vec4f>;
@group(0) @binding(2) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> weight_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> bias_gradient: array<f32>;

fn size() -> Size {
    return Size(layer.inputs + 1u, layer.outputs, layer.rows);
}

fn left(row: u32, inner: u32) -> mat4x4f {
    let stride = vec4s(layer.inputs);
    let i = inner * stride + row / 4u;
    let is_bias = row + LANES == vec4u(layer.inputs);
    return mat4x4f(
        select(inputs[i], vec4f(1.0), is_bias),
        select(inputs[i + stride], vec4f(1.0), is_bias),
        select(inputs[i + 2u * stride], vec4f(1.0), is_bias),
        select(inputs[i + 3u * stride], vec4f(1.0), is_bias),
    );
}

fn right(inner: u32, column: u32) -> mat4x4f {
    let stride = vec4s(layer.outputs);
    let i = inner * stride + column / 4u;
    return mat4x4f(
        output_gradient[i],
        output_gradient[i + stride],
        output_gradient[i + 2u * stride],
        output_gradient[i + 3u * stride],
    );
}

fn store(row: u32, column: u32, sums: vec4f) {
    for (var i = 0u; i < min(4u, layer.outputs - column); i++) {
        if (row < layer.inputs) {
            weight_gradient[row * layer.outputs + column + i] = sums[i];
        } else {
            bias_gradient[column + i] = sums[i];
        }
    }
}
