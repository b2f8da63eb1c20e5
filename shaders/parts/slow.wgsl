// The slow weights phi.
#if slow_bf16
#import parts/half

// Random bits by number, not by sequence: the same on every adapter and in every run. The generator is
// pcg4d (Jarzynski and Olano, "Hash functions for GPU rendering", 2020), but for taking each round's four sums at once.
fn la_pcg4d(seed: vec4u) -> vec4u {
    var v = seed * 1664525u + vec4u(1013904223u);
    v += v.yzxy * v.wxyz;
    v ^= v >> vec4u(16u);
    v += v.yzxy * v.wxyz;
    return v;
}

// Up or down at random, so that the mean is exact. `number` differs between any two vec4s of a step.
fn la_pack_bf16_at_random(values: vec4f, number: u32, window_number: u32) -> vec2u {
    let bits = la_pcg4d(vec4u(number, control.step, window_number, 0x9e3779b9u)) >> vec4u(16u);
    return la_join_bf16(la_add_below(bitcast<vec4u>(values), bits));
}

@group(2) @binding(1) var<storage, read_write> la_slow: array<vec2u>;

fn la_load_slow(i: u32) -> vec4f {
    return la_unpack_bf16(la_slow[i]);
}

fn la_store_slow(i: u32, phi: vec4f) {
    la_slow[i] = la_pack_bf16_at_random(phi, i, la_window.number);
}
#else
@group(2) @binding(1) var<storage, read_write> la_slow: array<vec4f>;

fn la_load_slow(i: u32) -> vec4f {
    return la_slow[i];
}

fn la_store_slow(i: u32, phi: vec4f) {
    la_slow[i] = phi;
}
#end
