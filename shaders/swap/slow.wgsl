// Exchanges fast and slow weights, for evaluation in the buffers that the model's kernels are bound to.
@group(2) @binding(1) var<storage, read_write> slow: array<vec4f>;

fn exchange(i: u32, w: vec4f) -> vec4f {
    let other = slow[i];
    slow[i] = w;
    return other;
}
