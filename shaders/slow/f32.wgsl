@group(2) @binding(1) var<storage, read_write> slow: array<vec4f>;

fn load_slow(i: u32) -> vec4f {
    return slow[i];
}

fn store_slow(i: u32, phi: vec4f) {
    slow[i] = phi;
}
