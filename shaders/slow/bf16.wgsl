@group(2) @binding(1) var<storage, read_write> slow: array<vec2u>;

fn load_slow(i: u32) -> vec4f {
    return unpack_bf16(slow[i]);
}

fn store_slow(i: u32, phi: vec4f) {
    slow[i] = pack_bf16_at_random(phi, i, window.number);
}
