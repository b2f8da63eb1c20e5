// Weights and gradients in the flat layout's own buffers.
@group(1) @binding(1) var<storage, read_write> weights: array<vec4f>;
@group(1) @binding(2) var<storage, read> gradients: array<vec4f>;

fn load_weights(i: u32) -> vec4f {
    return weights[i];
}

fn store_weights(i: u32, w: vec4f) {
    weights[i] = w;
}

fn load_gradient(i: u32) -> vec4f {
    return gradients[i];
}

fn tensor_of(i: u32) -> u32 {
    return table[(i - window.first) / BLOCK];
}
