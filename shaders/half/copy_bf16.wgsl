// A copy of the weights for the model's kernels.
@group(3) @binding(0) var<storage, read_write> half_weights: array<vec2u>;

fn store_copy(i: u32, w: vec4f) {
    half_weights[i] = pack_bf16(w);
}
