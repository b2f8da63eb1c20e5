@group(2) @binding(1) var<storage, read_write> la_slow: array<vec2u>;

fn la_load_slow(i: u32) -> vec4f {
    return la_unpack_bf16(la_slow[i]);
}

fn la_store_slow(i: u32, phi: vec4f) {
    la_slow[i] = la_pack_bf16_at_random(phi, i, la_window.number);
}
