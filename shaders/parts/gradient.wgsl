// The gradient: as it lies there, then transformed, one transformation after the other.
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

#if values
// The number of a vec4's first value in its tensor.
fn la_value_of(i: u32) -> u32 {
    let at = la_segment_of(i);
    return la_table[at + 5u] + 4u * (i - la_table[at]);
}
#end

#if row_means
// The mean of each value's row; 0 where it has none.
fn la_row_means(i: u32) -> vec4f {
    let at = la_segment_of(i);
    let row_length = la_table[at + 6u];
    if row_length == 0u {
        return vec4f();
    }
    let value = la_table[at + 5u] + 4u * (i - la_table[at]);
    let rows = la_window.means + la_table[at + 7u] + (vec4u(value) + vec4u(0u, 1u, 2u, 3u)) / row_length;
    let last = vec4u(arrayLength(&la_factors) - 1u); // padding has no row
    let row = min(rows, last);
    return vec4f(la_factors[row.x], la_factors[row.y], la_factors[row.z], la_factors[row.w]);
}
#end

#import transforms
