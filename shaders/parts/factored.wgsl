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

fn la_axis(shape: u32, value: u32) -> La_Axis {
    let block = max(la_table[shape + 1u], 1u);
    let stride = max(la_table[shape + 2u], 1u);
    let number = value / block;
    let begun = value - number * block;
    return La_Axis(la_table[shape], block, stride, number * stride, begun, begun % stride);
}

fn la_enter_moments() {
    let shape = la_window.shapes + (la_segment - la_window.segments) / LA_SEGMENT * LA_SHAPE;
    let last = max(la_table[shape], 1u) - 1u;
    let value = min(la_value, last); // padding has no moment
    la_last = last - value;
    la_by_row = la_axis(shape + 1u, value);
    la_by_column = la_axis(shape + 4u, value);
}

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

// What the rule is given: the tensor's clipping and scale in it.
fn la_normalise(i: u32, g: vec4f) -> vec4f {
    return la_factors[la_window.scale + la_tensor()] * la_over_root(i, g);
}
