// Exchanges fast and slow weights, for evaluation in the buffers that the model's kernels are bound to.
@group(2) @binding(1) var<storage, read_write> la_slow: array<vec4f>;

fn la_exchange(i: u32, w: vec4f) -> vec4f {
    let other = la_slow[i];
    la_slow[i] = w;
    return other;
}
