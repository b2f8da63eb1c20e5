// What the reductions of a step leave for its dispatches; `la_window` says where each kind starts.
@group(2) @binding(2) var<storage, read> la_factors: array<f32>;

// v times a factor; a negative one lies below f32's range, and stands for 2^-126 times its magnitude.
fn la_times(factor: f32, v: vec4f) -> vec4f {
    return abs(factor) * select(v, 0x1p-126 * v, factor < 0.0);
}
