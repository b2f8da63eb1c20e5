// What LA_LANES neighbours have between them. All are to be called in uniform control flow.
const LA_LANES = ${lanes}u;

#if together
var<workgroup> la_shared: array<vec2f, LA_WORKGROUP>;

// The sum, in a fixed order; the first of them has it.
fn la_sum_of_lanes(local: u32, value: vec2f) -> vec2f {
    workgroupBarrier(); // what was shared before has been read
    la_shared[local] = value;
    for (var half = LA_LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local % LA_LANES < half {
            la_shared[local] = la_double_sum(la_shared[local], la_shared[local + half]);
        }
    }
    return la_shared[local];
}

// The largest, which all of them have.
fn la_most_of_lanes(local: u32, value: f32) -> f32 {
    workgroupBarrier();
    la_shared[local] = vec2f(value);
    for (var half = LA_LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local % LA_LANES < half {
            la_shared[local] = max(la_shared[local], la_shared[local + half]);
        }
    }
    workgroupBarrier();
    return la_shared[local - local % LA_LANES].x;
}
#else
fn la_sum_of_lanes(local: u32, value: vec2f) -> vec2f {
    return value;
}

fn la_most_of_lanes(local: u32, value: f32) -> f32 {
    return value;
}
#end
