// Weights and gradients in the flat layout's own buffers.
@group(1) @binding(1) var<storage, read_write> weights: array<vec4f>;

alias Place = u32;

fn locate(i: u32) -> Place {
    return i;
}

fn load_weights(at: Place) -> vec4f {
    return weights[at];
}

fn store_weights(at: Place, w: vec4f) {
    weights[at] = w;
}
