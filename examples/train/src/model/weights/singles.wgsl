// The weights of a layer, one by one: rows may begin anywhere.
@group(0) @binding(2) var<storage, read> weight: array<u32>;

fn weight_at(i: u32) -> f32 {
    return decode(weight[word_of(i)], i);
}

// Four of a row, from a column on; zero beyond the matrix. One choice for all four: with a branch for each of them,
// SwiftShader compiles for minutes.
fn weights(row: u32, column: u32) -> vec4f {
    let i = row * layer.outputs + column;
    let four = vec4f(weight_at(i), weight_at(i + 1u), weight_at(i + 2u), weight_at(i + 3u));
    let columns = select(0u, layer.outputs, row < layer.inputs);
    return select(vec4f(), four, column + LANES < vec4u(columns));
}
