// input_gradient = (output_gradient * weight^T) where the ReLU that made the inputs let them through,
// and zero elsewhere.

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> inputs: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<vec4f>;

fn size() -> Size {
    return Size(layer.rows, layer.inputs, layer.outputs);
}

fn left(row: u32, inner: u32) -> mat4x4f {
    let stride = vec4s(layer.outputs);
    let i = row * stride + inner / 4u;
    return transpose(mat4x4f(
        output_gradient[i],
        output_gradient[i + stride],
        output_gradient[i + 2u * stride],
        output_gradient[i + 3u * stride],
    ));
}

fn right(inner: u32, column: u32) -> mat4x4f {
    return transpose(mat4x4f(
        weights(column, inner),
        weights(column + 1u, inner),
        weights(column + 2u, inner),
        weights(column + 3u, inner),
    ));
}

// The inputs are zero beyond the last column, as where a ReLU let nothing through.
fn store(row: u32, column: u32, sums: vec4f) {
    let i = row * vec4s(layer.inputs) + column / 4u;
    input_gradient[i] = select(vec4f(), sums, inputs[i] > vec4f());
}
