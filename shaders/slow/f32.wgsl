@group(2) @binding(1) var<storage, read_write> la_slow: array<vec4f>;

fn la_load_slow(i: u32) -> vec4f {
    return la_slow[i];
}

fn la_store_slow(i: u32, phi: vec4f) {
    la_slow[i] = phi;
}
