// The tensor's trust ratio.
var<private> trust: f32;
var<private> la_trust: f32; // as `la_times` takes it

fn la_load_trust(i: u32) {
    la_trust = la_factors[la_window.trust + la_tensor_of(i)];
    trust = la_times(la_trust, vec4f(1.0)).x;
}

// v times the trust ratio, where that may itself lie below f32's range.
fn la_trusted(v: vec4f) -> vec4f {
    return la_times(la_trust, v);
}
