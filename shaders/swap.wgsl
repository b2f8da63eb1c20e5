// Exchanges fast and slow weights, for evaluation in the buffers that the model's kernels are bound to.
override WORKGROUP: u32;

@group(2) @binding(1) var<storage, read_write> slow: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn swap(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= window.count {
        return;
    }
    let i = window.first + id.x;
    let place = locate(i);
    let fast = load_weights(place);
    store_weights(place, slow[i]);
    slow[i] = fast;
}
