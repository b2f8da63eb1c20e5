// finished Norm
// Second pass of a reduction, over all its ranges.
// The gradient is that of the loss times the loss scale.
@group(0) @binding(5) var<storage, read> la_guard: array<u32>;

override LA_WORKGROUP: u32;

// Second pass of a reduction: adds the partial sums of a range (a row's, a tensor's, a group's or all), and concludes a
// factor from them.

// The gradient's norm, and whether it is finite.
alias La_Sum = vec4f;

// Numbers beyond f32's range: mantissa 2^exponent with a mantissa in [1, 2), or 0. Powers of two are applied to the
// exponent's bits: a compiler may join two of their multiplications into one that leaves the range.
struct La_Split {
    mantissa: f32,
    exponent: i32,
}

// Of a number that is finite and at least 0.
fn la_split(x: f32) -> La_Split {
    let bits = bitcast<u32>(x);
    let mantissa = bitcast<f32>((bits & 0x007fffffu) | 0x3f800000u);
    let is_zero = (bits & 0x7f800000u) == 0u;
    return La_Split(select(mantissa, 0.0, is_zero), select(i32((bits >> 23u) & 0xffu) - 127, 0, is_zero));
}

// As f32: 0 below its range, its largest number above it.
fn la_joined(x: La_Split) -> f32 {
    let bits = bitcast<u32>(x.mantissa) & 0x007fffffu;
    let power = u32(clamp(x.exponent + 127, 0, 255)) << 23u;
    let joined = select(power | bits, 0x7f7fffffu, x.exponent > 127);
    return select(bitcast<f32>(joined), 0.0, x.mantissa == 0.0 || x.exponent < -126);
}

fn la_shifted(x: La_Split, by: i32) -> La_Split {
    return La_Split(x.mantissa, select(x.exponent + by, 0, x.mantissa == 0.0));
}

fn la_product(a: La_Split, b: La_Split) -> La_Split {
    return la_shifted(la_split(a.mantissa * b.mantissa), a.exponent + b.exponent);
}

// b is not 0.
fn la_quotient(a: La_Split, b: La_Split) -> La_Split {
    return la_shifted(la_split(a.mantissa / max(b.mantissa, 1.0)), a.exponent - b.exponent);
}

// a + small, where `small` is in f32's range, and far below a where a is not.
fn la_plus(a: La_Split, small: f32) -> La_Split {
    if a.exponent > 100 {
        return a;
    }
    return la_split(la_joined(a) + small);
}

// The norm from the sums of parts/squares.wgsl, which are finite.
fn la_norm(sums: vec4f) -> La_Split {
    if sums.y > 0.0 {
        return la_shifted(la_split(sqrt(sums.y + la_joined(la_shifted(la_split(sums.x), -180)))), 90);
    }
    if sums.x > 0.0 {
        return la_split(sqrt(sums.x + la_joined(la_shifted(la_split(sums.z), -140))));
    }
    return la_shifted(la_split(sqrt(sums.z)), -70);
}

// A factor for `la_times`: negative, and times 2^126, where it lies below f32's range.
fn la_factor(x: La_Split) -> f32 {
    if x.exponent >= -126 {
        return la_joined(x);
    }
    return -la_joined(la_shifted(x, 126));
}

// An infinity or NaN of these bits, which WGSL does not take as a constant.
fn la_not_finite(bits: u32) -> f32 {
    return bitcast<f32>(bits);
}

fn la_inverse_loss_scale() -> f32 {
    return bitcast<f32>(la_guard[4]);
}

// The norm, and the factor that clips by it, as torch.nn.utils.clip_grad_norm_. settings: the largest norm, 0
// for no clipping. The results are x and y: the norm is x 2^-y, y being 0 or below where f32 does not hold it; where a
// gradient is not finite neither is x, and y is 1 for infinities, 2 for a NaN.
fn la_finalise(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    let is_nan = sum.w >= 0x1p64;
    let is_infinite = sum.w > 0.0 && !is_nan;
    let norm = la_product(la_split(la_inverse_loss_scale()), la_norm(sum));
    let beyond = max(norm.exponent - 127, 0);
    let found = vec2f(la_joined(la_shifted(norm, -beyond)), -f32(beyond));
    let not_finite = vec2f(la_not_finite(select(0x7f800000u, 0x7fc00000u, is_nan)), select(1.0, 2.0, is_nan));
    la_results[at] = select(found, not_finite, is_nan || is_infinite);
    if bitcast<u32>(settings.x) == 0u {
        return 1.0;
    }
    if is_nan || is_infinite {
        // One NaN makes all of them NaN, one infinity makes all others 0.
        return la_not_finite(select(0u, 0x7fc00000u, is_nan));
    }
    let factor = la_quotient(la_split(settings.x), la_plus(norm, 1e-6));
    return min(1.0, la_factor(factor));
}

struct La_Range {
    first: u32,
    count: u32,
    settings: vec2f, // of `la_finalise`
}

@group(0) @binding(0) var<storage, read> la_ranges: array<La_Range>;
@group(0) @binding(1) var<storage, read> la_partials: array<La_Sum>;
@group(0) @binding(2) var<storage, read_write> la_factors: array<f32>;
@group(0) @binding(3) var<storage, read_write> la_results: array<vec2f>;
@group(0) @binding(4) var<uniform> la_place: vec4u; // x: where the first range's factor goes

// The sums of LA_LANES neighbours each, in a fixed order; the first of them has it. To be called in uniform control flow.
const LA_LANES = 256u;

var<workgroup> la_sums: array<La_Sum, LA_WORKGROUP>;

fn la_sum_of_lanes(local: u32, value: La_Sum) -> La_Sum {
    la_sums[local] = value;
    for (var half = LA_LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local % LA_LANES < half {
            la_sums[local] += la_sums[local + half];
        }
    }
    return la_sums[local];
}

// Concludes range `at`, if there is one, by LA_LANES threads. To be called in uniform control flow.
fn la_conclude(at: u32, local: u32) {
    let is_range = at < arrayLength(&la_ranges);
    var range = La_Range();
    if is_range {
        range = la_ranges[at];
    }
    var mine = La_Sum();
    for (var j = local % LA_LANES; j < range.count; j += LA_LANES) {
        mine += la_partials[range.first + j];
    }
    let sum = la_sum_of_lanes(local, mine);
    if is_range && local % LA_LANES == 0u {
        la_factors[la_place.x + at] = la_finalise(at, range.settings, sum);
    }
}

@compute @workgroup_size(LA_WORKGROUP)
fn la_finish(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_conclude((group.x + group.y * groups.x) * (LA_WORKGROUP / LA_LANES) + local / LA_LANES, local);
}
