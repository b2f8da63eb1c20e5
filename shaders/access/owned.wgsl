// Weights and gradients in the flat layout's own buffers.
@group(1) @binding(1) var<storage, read_write> la_weights: array<vec4f>;

alias La_Place = u32;

fn la_locate(i: u32) -> La_Place {
    return i;
}

fn la_load_weights(at: La_Place) -> vec4f {
    return la_weights[at];
}

fn la_store_weights(at: La_Place, w: vec4f) {
    la_weights[at] = w;
}
