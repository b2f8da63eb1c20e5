// Moves a tensor's values towards what was remembered of them. Before this text stands MIXING.

struct Tensor {
    len: u32,
    first: u32,
    columns: u32,
    remembered: u32, // where what is remembered begins, in blocks
}

const BLOCK = 128u;

@group(0) @binding(0) var<uniform> tensor: Tensor;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
@group(0) @binding(2) var<storage, read> own: array<f32>;

@compute @workgroup_size(BLOCK)
fn mix_in(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let i = (group.y * tensor.columns + group.x) * BLOCK + local;
    if i < tensor.len {
        let slow = values[i];
        values[i] = slow + MIXING * (own[tensor.remembered * BLOCK + i] - slow);
    }
}
