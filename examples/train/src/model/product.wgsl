// A matrix product: the part that the three products of a layer share. The file that follows it says what is
// multiplied, in blocks of 4 x 4:
//
//     fn size() -> Size                              rows and columns of the result, and the inner length
//     fn left(row: u32, inner: u32) -> mat4x4f       [i]: elements of four rows of the left matrix, at inner + i
//     fn right(inner: u32, column: u32) -> mat4x4f   [i]: elements of four columns of the right one, at inner + i
//     fn store(row: u32, column: u32, sums: vec4f)   takes elements of a row of the result, from column on
//
// At inner + i beyond the inner length one of them is zero and the other finite. What rows and columns beyond the
// result hold does not matter: `store` leaves them out, and reads outside a buffer do no harm in WGSL.
//
// A thread makes TILE x TILE elements of the result, in four blocks, so that each value that it loads feeds eight
// multiplications: a load is what costs most on a CPU, where it is made for one lane after the other. Larger tiles
// leave small layers too few threads, and spill registers. There is no workgroup memory: its barriers cost as much
// there, and on a GPU neighbours find what they share in the cache. Threads are numbered along the tiles of the whole
// result, so that a narrow one leaves none idle. Each sum is made in the order of the inner index, whatever the tile.

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

const TILE = 8u;
const LANES = vec4u(0u, 1u, 2u, 3u);

// Activations and their gradients have rows of whole vec4s, with zeros at their ends, and zeros up to the next
// multiple of four rows.
fn vec4s(units: u32) -> u32 {
    return (units + 3u) / 4u;
}

// [i]: row i of the block.
fn outer_product(rows: vec4f, columns: vec4f) -> mat4x4f {
    return mat4x4f(columns * rows.x, columns * rows.y, columns * rows.z, columns * rows.w);
}

fn added(sums: mat4x4f, left: mat4x4f, right: mat4x4f) -> mat4x4f {
    let half = sums + outer_product(left[0], right[0]) + outer_product(left[1], right[1]);
    return half + outer_product(left[2], right[2]) + outer_product(left[3], right[3]);
}

fn store_block(row: u32, column: u32, sums: mat4x4f) {
    let bounds = size();
    if (column >= bounds.columns) {
        return;
    }
    if (row < bounds.rows) {
        store(row, column, sums[0]);
    }
    if (row + 1u < bounds.rows) {
        store(row + 1u, column, sums[1]);
    }
    if (row + 2u < bounds.rows) {
        store(row + 2u, column, sums[2]);
    }
    if (row + 3u < bounds.rows) {
        store(row + 3u, column, sums[3]);
    }
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let bounds = size();
    let tile = id.y * groups.x * WIDTH + id.x;
    let across = (bounds.columns + TILE - 1u) / TILE;
    let row = tile / across * TILE;
    let column = tile % across * TILE;
    if (row >= bounds.rows) {
        return;
    }
    var top_left = mat4x4f();
    var top_right = mat4x4f();
    var bottom_left = mat4x4f();
    var bottom_right = mat4x4f();
    for (var inner = 0u; inner < bounds.inner; inner += 4u) {
        let top = left(row, inner);
        let bottom = left(row + 4u, inner);
        let near = right(inner, column);
        let far = right(inner, column + 4u);
        top_left = added(top_left, top, near);
        top_right = added(top_right, top, far);
        bottom_left = added(bottom_left, bottom, near);
        bottom_right = added(bottom_right, bottom, far);
    }
    store_block(row, column, top_left);
    store_block(row, column + 4u, top_right);
    store_block(row + 4u, column, bottom_left);
    store_block(row + 4u, column + 4u, bottom_right);
}
