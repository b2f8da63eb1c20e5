// What the reductions of a step leave for its dispatches; `la_window` says where each kind starts.
@group(2) @binding(2) var<storage, read> la_factors: array<f32>;

// v times a factor; a negative one lies below f32's range, and stands for 2^-126 times its magnitude.
// The exponents' bits are lowered: compilers may join two multiplications into one.
fn la_times(factor: f32, v: vec4f) -> vec4f {
    if (bitcast<u32>(factor) >> 31u) == 0u {
        return factor * v;
    }
    let bits = bitcast<vec4u>(v);
    let magnitude = bits & vec4u(0x7fffffffu);
    let zero = bits & vec4u(0x80000000u);
    let lowered = select(zero, bits - vec4u(0x3f000000u), magnitude >= vec4u(0x3f800000u));
    return -factor * bitcast<vec4f>(select(lowered, bits, magnitude >= vec4u(0x7f800000u)));
}

#if trust
// The tensor's trust ratio.
var<private> trust: f32;
var<private> la_trust: f32; // as `la_times` takes it

fn la_load_trust() {
    la_trust = la_factors[la_window.trust + la_tensor()];
    trust = la_times(la_trust, vec4f(1.0)).x;
}

// v times the trust ratio, where that may itself lie below f32's range.
fn la_trusted(v: vec4f) -> vec4f {
    return la_times(la_trust, v);
}
#end
