// The gradient: as it lies there, then transformed, one transformation after the other.
#if variance_reduced
// With less variance: less the same mini-batch's gradient at the slow weights, which is near it, and with the full one
// there. In this order: the difference of the two is small where both are large.
fn la_given_gradient(i: u32, place: La_Place) -> vec4f {
    let difference = la_load_gradient(place) - la_planes[la_plane(LA_SNAPSHOT_GRADIENTS_AT, i)];
    return difference + la_planes[la_plane(LA_FULL_GRADIENTS_AT, i)];
}

#if accumulates
fn la_raw_gradient(i: u32, place: La_Place) -> vec4f {
    return la_planes[la_plane(LA_ACCUMULATED_AT, i)] + select(la_given_gradient(i, place), vec4f(), la_does(LA_ACCUMULATED));
}
#else
fn la_raw_gradient(i: u32, place: La_Place) -> vec4f {
    return la_given_gradient(i, place);
}
#end
#else
#if accumulates
// A step takes the sum of several micro-batches' gradients: all but the last lie in a plane, or all of them.
fn la_raw_gradient(i: u32, place: La_Place) -> vec4f {
    return la_planes[la_plane(LA_ACCUMULATED_AT, i)] + select(la_load_gradient(place), vec4f(), la_does(LA_ACCUMULATED));
}
#else
fn la_raw_gradient(i: u32, place: La_Place) -> vec4f {
    return la_load_gradient(place);
}
#end
#end

#if values
// The number of a vec4's first value in its tensor.
fn la_value_of(i: u32) -> u32 {
    return la_value + 4u * (i - la_entered);
}
#end

#if row_means
var<private> la_row_length: u32; // 0: the tensor has no rows
var<private> la_row: u32;        // the row of the value at which the segment was entered: its mean in `la_factors`
var<private> la_row_begun: u32;  // values of the row before that
#if long_rows
var<private> la_two_means: vec2f; // of that row and the next: a thread meets no third
#end

fn la_enter_rows() {
    la_row_length = la_table[la_segment + 6u];
    let length = max(la_row_length, 1u);
    let row = la_value / length;
    la_row = la_window.means + la_table[la_segment + 7u] + row;
    la_row_begun = la_value - row * length;
#if long_rows
    la_two_means = select(vec2f(la_factors[la_row], la_factors[la_row + 1u]), vec2f(), la_row_length == 0u);
#end
}

// The mean of each value's row; 0 where it has none.
#if long_rows
fn la_row_means(i: u32) -> vec4f {
    let is_next = vec4u(la_row_begun) + la_distance(i) >= vec4u(la_row_length);
    return select(vec4f(la_two_means.x), vec4f(la_two_means.y), is_next);
}
#else
fn la_row_means(i: u32) -> vec4f {
    let rows = vec4u(la_row) + la_quotients(vec4u(la_row_begun) + la_distance(i), max(la_row_length, 1u));
    let row = min(rows, vec4u(arrayLength(&la_factors) - 1u)); // padding has no row
    // Rows have two values or more: the third is in the second's or in the last one's.
    let first = la_factors[row.x];
    let second = la_factors[row.y];
    let last = la_factors[row.w];
    let means = vec4f(first, second, select(last, second, row.z == row.y), last);
    return select(means, vec4f(), la_row_length == 0u);
}
#end
#end

#import transforms
