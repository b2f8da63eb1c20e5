// Second pass of a reduction: adds the partial sums of a range (a row's, a tensor's, a group's or all), and concludes a
// factor from them.
#import measure

struct La_Range {
    first: u32,
    count: u32,
    settings: vec2f, // of `la_finalise`
}

@group(${conclusion}) @binding(0) var<storage, read> la_ranges: array<La_Range>;
@group(${conclusion}) @binding(1) var<storage, read> la_partials: array<La_Sum>;
@group(${conclusion}) @binding(2) var<storage, read_write> la_factors: array<f32>;
@group(${conclusion}) @binding(3) var<storage, read_write> la_results: array<vec2f>;
@group(${conclusion}) @binding(4) var<uniform> la_place: vec4u; // x: where the first range's factor goes

#import parts/lanes

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
