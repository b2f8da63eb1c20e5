// The weights of a layer, four at once: where its outputs are a multiple of four.
@group(0) @binding(2) var<storage, read> weight: array<Words>;

// Four of a row, from a multiple of four on; zero in rows beyond the last.
fn weights(row: u32, column: u32) -> vec4f {
    let four = decode_four(weight[(row * layer.outputs + column) / 4u]);
    return select(vec4f(), four, row < layer.inputs);
}
