// A copy of the weights for the model's kernels.
@group(3) @binding(0) var<storage, read_write> la_half_weights: array<vec2u>;

fn la_store_copy(i: u32, w: vec4f) {
    la_half_weights[i] = la_pack_bf16(w);
}
