// The gradient over the root of its second moment. Of a matrix only the means of its squares by row and by
// column are kept, and their product over the mean of all stands for the square itself; a tensor of more
// dimensions is a batch of matrices, and of one that is not factored each value is a row of its own.
const LA_SHAPE = 10u; // words: values; rows, their block and stride; columns (0: none), block, stride; means, ...

// The place of values in a tensor that lacks a dimension, which has this stride and with it this block.
fn la_without(value: vec4u, block: u32, stride: u32) -> vec4u {
    return value / block * stride + value % stride;
}

fn la_roots(start: u32, index: vec4u) -> vec4f {
    let at = start + index;
    return sqrt(vec4f(la_factors[at.x], la_factors[at.y], la_factors[at.z], la_factors[at.w]));
}

fn la_over_root(i: u32, g: vec4f) -> vec4f {
    let at = la_segment_of(i);
    let shape = la_window.shapes + (at - la_window.segments) / LA_SEGMENT * LA_SHAPE;
    let value = vec4u(la_table[at + 5u] + 4u * (i - la_table[at])) + vec4u(0u, 1u, 2u, 3u);
    let inside = min(value, vec4u(la_table[shape] - 1u)); // padding has no moment
    let row = la_without(inside, la_table[shape + 2u], la_table[shape + 3u]);
    let by_row = la_roots(la_table[shape + 1u], row);
    if la_table[shape + 4u] == 0u {
        return g / by_row;
    }
    let column = la_without(inside, la_table[shape + 5u], la_table[shape + 6u]);
    let batch = la_without(row, la_table[shape + 8u], la_table[shape + 9u]);
    // In this order nothing leaves the range of f32 where a whole row or column has no gradient.
    return g * (la_roots(la_table[shape + 7u], batch) / by_row) / la_roots(la_table[shape + 4u], column);
}

// What the rule is given: the tensor's clipping and scale in it.
fn la_normalise(i: u32, g: vec4f) -> vec4f {
    return la_factors[la_window.scale + la_tensor_of(i)] * la_over_root(i, g);
}
