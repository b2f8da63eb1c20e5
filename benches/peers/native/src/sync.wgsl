// Lookahead's sync: the slow weights go a part of the way, and the fast ones begin there.

@group(0) @binding(0) var<storage, read_write> weights: array<f32>;
@group(0) @binding(1) var<storage, read_write> slow: array<f32>;

const ALPHA = 0.5;

@compute @workgroup_size(64)
fn sync(@builtin(global_invocation_id) id: vec3u) {
    let i = id.x;
    if i >= arrayLength(&weights) {
        return;
    }
    let value = slow[i] + (weights[i] - slow[i]) * ALPHA;
    slow[i] = value;
    weights[i] = value;
}
