// finished Rows
// Second pass of a reduction, over all its ranges.
override LA_WORKGROUP: u32;

// Second pass of a reduction: adds the partial sums of a range (a row's, a tensor's, a group's or all), and concludes a
// factor from them.

// The mean of each row of the gradient, for centralisation.
alias La_Sum = vec2f;

// The mean of a row. settings: 1 / its length.
fn la_finalise(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    let large = settings.x * sum.y;
    // Of finite values it is finite, whatever rounding says.
    let is_finite = (bitcast<u32>(large) & 0x7f800000u) != 0x7f800000u;
    let bounded = select(large, clamp(large, -0x1.fffffep63, 0x1.fffffep63), is_finite);
    return settings.x * sum.x + 0x1p64 * bounded;
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
const LA_LANES = 1u;

fn la_sum_of_lanes(local: u32, value: La_Sum) -> La_Sum {
    return value;
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
