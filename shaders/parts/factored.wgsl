// The gradient over the root of its second moment. Of a matrix only the means of its squares by row and by column are
// kept, and their product over the mean of all stands for the square itself; a tensor of more dimensions is a batch of
// matrices, and of one that is not factored each value is a row of its own.
const LA_SHAPE = 7u; // words: values; roots by row, block, stride; roots by column (0: the moment is whole), block, stride

// The entries of an axis, which lacks a dimension that has this stride and with it this block; `la_enter` finds that of
// the value at which the segment was entered.
struct La_Axis {
    roots: u32,
    block: u32,
    stride: u32,
    of_block: u32, // value / block * stride: the block's first entry
    begun: u32,    // value % block
    place: u32,    // value % stride
}

var<private> la_last: u32; // how far the tensor's last value is from where the segment was entered
var<private> la_by_row: La_Axis;
var<private> la_by_column: La_Axis;

// a / b of any two whole numbers, b not 0: an estimate that is not above it, what that lacks, and one more. Few devices
// divide whole numbers well.
fn la_divided(a: u32, b: u32) -> u32 {
    let inverse = 0x1.ffffep-1 / f32(b);
    var quotient = u32(f32(a) * inverse);
    quotient += u32(f32(a - quotient * b) * inverse);
    return quotient + select(0u, 1u, a - quotient * b >= b);
}

fn la_axis(shape: u32, value: u32) -> La_Axis {
    let block = max(la_table[shape + 1u], 1u);
    let stride = max(la_table[shape + 2u], 1u);
    let number = la_divided(value, block);
    let begun = value - number * block;
    let place = begun - la_divided(begun, stride) * stride;
    return La_Axis(la_table[shape], block, stride, number * stride, begun, place);
}

fn la_enter_moments() {
    let shape = la_window.shapes + (la_segment - la_window.segments) / LA_SEGMENT * LA_SHAPE;
    let last = max(la_table[shape], 1u) - 1u;
    let value = min(la_value, last); // padding has no moment
    la_last = last - value;
    la_by_row = la_axis(shape + 1u, value);
    la_by_column = la_axis(shape + 4u, value);
}

#if even
// The root of the first of four values, in `la_factors`.
fn la_root(axis: La_Axis, distance: u32) -> u32 {
    let place = axis.place + distance;
    let rest = place - axis.stride * la_quotients(vec4u(place), axis.stride).x;
    return axis.roots + axis.of_block + axis.stride * la_quotients(vec4u(axis.begun + distance), axis.block).x + rest;
}

// Four values that belong together have one entry of the axis whose stride is 1, and of the other one four side by side.
fn la_over_root(i: u32, g: vec4f) -> vec4f {
    let distance = min(4u * (i - la_entered), la_last / 4u * 4u);
    let lanes = min(vec4u(0u, 1u, 2u, 3u), vec4u(la_last - distance));
    let is_whole = la_by_column.roots == 0u;
    let has_one_row = la_by_row.stride == 1u;
    let by_row = la_root(la_by_row, distance);
    let by_column = la_root(la_by_column, distance);
    let one = la_factors[select(by_column, by_row, has_one_row)];
    let at = vec4u(select(by_row, by_column, has_one_row)) + lanes;
    let four = vec4f(la_factors[at.x], la_factors[at.y], la_factors[at.z], la_factors[at.w]);
    let over = select(select(vec4f(one), four, has_one_row), sqrt(four), is_whole);
    return g * select(select(four, vec4f(one), has_one_row), vec4f(1.0), is_whole) / over;
}
#else
fn la_roots(axis: La_Axis, distance: vec4u) -> vec4f {
    let blocks = la_quotients(vec4u(axis.begun) + distance, axis.block);
    let places = vec4u(axis.place) + distance;
    let rest = places - axis.stride * la_quotients(places, axis.stride);
    let at = vec4u(axis.roots + axis.of_block) + axis.stride * blocks + rest;
    return vec4f(la_factors[at.x], la_factors[at.y], la_factors[at.z], la_factors[at.w]);
}

fn la_over_root(i: u32, g: vec4f) -> vec4f {
    let distance = min(la_distance(i), vec4u(la_last));
    let by_row = la_roots(la_by_row, distance);
    if la_by_column.roots == 0u {
        return g / sqrt(by_row);
    }
    return g * by_row / la_roots(la_by_column, distance);
}
#end

// What the rule is given: the tensor's clipping and scale in it.
fn la_normalise(i: u32, g: vec4f) -> vec4f {
    return la_factors[la_window.scale + la_tensor()] * la_over_root(i, g);
}
