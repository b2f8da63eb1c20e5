// A matrix product as one writes it first: a thread for each element of the result, and a loop over what it sums.

struct Shape {
    rows: u32,
    columns: u32,
    inner: u32,
    // From one element to the next along a row of the result, a column of it, and the sum.
    left_row: u32,
    left_inner: u32,
    right_inner: u32,
    right_column: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<f32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let row = id.y;
    let column = id.x;
    if (row >= shape.rows || column >= shape.columns) {
        return;
    }
    var sum = 0.0;
    for (var i = 0u; i < shape.inner; i++) {
        let a = left[row * shape.left_row + i * shape.left_inner];
        sum += a * right[i * shape.right_inner + column * shape.right_column];
    }
    result[row * shape.columns + column] = sum;
}
