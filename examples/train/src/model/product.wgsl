// A matrix product, tiled: the part that the three products of a layer share. The file that follows
// it says what is multiplied:
//
//     fn size() -> Size                         rows and columns of the result, and the inner length
//     fn left(row: u32, inner: u32) -> f32      an element of the left matrix, zero outside it
//     fn right(inner: u32, column: u32) -> f32  an element of the right matrix, zero outside it
//     fn store(row: u32, column: u32, sum: f32) takes an element of the result
//
// A workgroup makes TILE x TILE elements of the result and an invocation 8 x 8 of them, in four
// blocks of 4 x 4: 16 loads from workgroup memory feed 64 multiplications.

struct Layer {
    // Rows of a batch.
    rows: u32,
    inputs: u32,
    outputs: u32,
    // Whether a ReLU follows (1) or not (0).
    relu: u32,
}

struct Size {
    rows: u32,
    columns: u32,
    inner: u32,
}

const TILE = 64u;
const DEPTH = 16u;
const QUADS = TILE / 4u;

// DEPTH slices, each of TILE elements as QUADS vectors.
var<workgroup> left_tile: array<vec4f, DEPTH * QUADS>;
var<workgroup> right_tile: array<vec4f, DEPTH * QUADS>;

// Column i is row i of the block.
fn outer_product(rows: vec4f, columns: vec4f) -> mat4x4f {
    return mat4x4f(columns * rows.x, columns * rows.y, columns * rows.z, columns * rows.w);
}

fn store_row(row: u32, column: u32, sums: vec4f) {
    let bounds = size();
    if (row >= bounds.rows) {
        return;
    }
    for (var i = 0u; i < 4u && column + i < bounds.columns; i++) {
        store(row, column + i, sums[i]);
    }
}

fn store_block(row: u32, column: u32, sums: mat4x4f) {
    store_row(row, column, sums[0]);
    store_row(row + 1u, column, sums[1]);
    store_row(row + 2u, column, sums[2]);
    store_row(row + 3u, column, sums[3]);
}

@compute @workgroup_size(8, 8)
fn main(
    @builtin(workgroup_id) tile: vec3u,
    @builtin(local_invocation_id) local: vec3u,
    @builtin(local_invocation_index) index: u32,
) {
    let bounds = size();
    let first_row = tile.y * TILE;
    let first_column = tile.x * TILE;
    let row = first_row + 8u * local.y;
    let column = first_column + 8u * local.x;
    let is_inside = row < bounds.rows && column < bounds.columns;

    var top_left = mat4x4f();
    var top_right = mat4x4f();
    var bottom_left = mat4x4f();
    var bottom_right = mat4x4f();
    for (var first = 0u; first < bounds.inner; first += DEPTH) {
        for (var i = index; i < DEPTH * QUADS; i += 64u) {
            let inner = first + i / QUADS;
            let r = first_row + 4u * (i % QUADS);
            left_tile[i] =
                vec4f(left(r, inner), left(r + 1u, inner), left(r + 2u, inner), left(r + 3u, inner));
            let c = first_column + 4u * (i % QUADS);
            right_tile[i] =
                vec4f(right(inner, c), right(inner, c + 1u), right(inner, c + 2u), right(inner, c + 3u));
        }
        workgroupBarrier();
        if (is_inside) {
            for (var i = 0u; i < DEPTH * QUADS; i += QUADS) {
                let top = left_tile[i + 2u * local.y];
                let bottom = left_tile[i + 2u * local.y + 1u];
                let near = right_tile[i + 2u * local.x];
                let far = right_tile[i + 2u * local.x + 1u];
                top_left += outer_product(top, near);
                top_right += outer_product(top, far);
                bottom_left += outer_product(bottom, near);
                bottom_right += outer_product(bottom, far);
            }
        }
        workgroupBarrier();
    }
    if (is_inside) {
        store_block(row, column, top_left);
        store_block(row, column + 4u, top_right);
        store_block(row + 4u, column, bottom_left);
        store_block(row + 4u, column + 4u, bottom_right);
    }
}
