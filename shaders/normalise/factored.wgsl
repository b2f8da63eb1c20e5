// The gradient over the root of its second moment. Of a matrix only the means of its squares by row and by
// column are kept, and their product over the mean of all stands for the square itself; a tensor of more
// dimensions is a batch of matrices, and of one that is not factored each value is a row of its own.
const SHAPE = 10u; // words: values; rows, their block and stride; columns (0: none), block, stride; means, ...

// The place of values in a tensor that lacks a dimension, which has this stride and with it this block.
fn without(value: vec4u, block: u32, stride: u32) -> vec4u {
    return value / block * stride + value % stride;
}

fn roots(start: u32, index: vec4u) -> vec4f {
    let at = start + index;
    return sqrt(vec4f(factors[at.x], factors[at.y], factors[at.z], factors[at.w]));
}

fn over_root(i: u32, g: vec4f) -> vec4f {
    let at = segment_of(i);
    let shape = window.shapes + (at - window.segments) / SEGMENT * SHAPE;
    let value = vec4u(table[at + 5u] + 4u * (i - table[at])) + vec4u(0u, 1u, 2u, 3u);
    let inside = min(value, vec4u(table[shape] - 1u)); // padding has no moment
    let row = without(inside, table[shape + 2u], table[shape + 3u]);
    let by_row = roots(table[shape + 1u], row);
    if table[shape + 4u] == 0u {
        return g / by_row;
    }
    let column = without(inside, table[shape + 5u], table[shape + 6u]);
    let batch = without(row, table[shape + 8u], table[shape + 9u]);
    // In this order nothing leaves the range of f32 where a whole row or column has no gradient.
    return g * (roots(table[shape + 7u], batch) / by_row) / roots(table[shape + 4u], column);
}
