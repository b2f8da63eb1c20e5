// Unpacks the mean of a tensor's values, with the base added where differences were sent. Before this text stand FORMAT
// and DIFFERS, as for pack.wgsl.

struct Tensor {
    len: u32,
    first: u32,
    columns: u32,
    remembered: u32, // not read here
}

const BLOCK = 128u;

@group(0) @binding(0) var<uniform> tensor: Tensor;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;
@group(0) @binding(2) var<storage, read> base: array<u32>;
@group(0) @binding(3) var<storage, read> packed: array<u32>;

@compute @workgroup_size(BLOCK)
fn unpack(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let block = group.y * tensor.columns + group.x;
    let i = block * BLOCK + local;
    if i >= tensor.len {
        return;
    }
    let bits = received(tensor.first + block, local);
    if DIFFERS {
        values[i] = bitcast<u32>(bitcast<f32>(bits) + bitcast<f32>(base[i]));
    } else {
        values[i] = bits;
    }
}

fn received(at: u32, local: u32) -> u32 {
    if FORMAT == 0u {
        return packed[at * BLOCK + local];
    }
    if FORMAT == 3u {
        let start = at * (1u + BLOCK / 4u);
        // A signed byte: its sign is carried down from the top.
        let q = bitcast<i32>(packed[start + 1u + local / 4u] << (24u - 8u * (local % 4u))) >> 24u;
        return bitcast<u32>(f32(q) * bitcast<f32>(packed[start]));
    }
    let half = (packed[at * BLOCK / 2u + local / 2u] >> (16u * (local % 2u))) & 0xffffu;
    if FORMAT == 1u {
        return half << 16u;
    }
    let sign = (half & 0x8000u) << 16u;
    let size = half & 0x7fffu;
    if size < 0x400u {
        // A multiple of 2^-24.
        return sign | bitcast<u32>(f32(size) * bitcast<f32>(0x33800000u));
    }
    return sign | ((size << 13u) + (112u << 23u));
}
