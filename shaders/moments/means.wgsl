// Second moments, third pass: the mean of the rows of each matrix.
override WORKGROUP: u32;

struct Matrix {
    row: u32,    // its first row, in `factors`
    rows: u32,
    stride: u32, // from one to the next
    mean: u32,   // where the mean goes
}

@group(1) @binding(0) var<storage, read> tasks: array<Matrix>;
@group(1) @binding(3) var<storage, read_write> factors: array<f32>;

var<workgroup> mine: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn means(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&tasks) || !does(UPDATE) {
        return;
    }
    let task = tasks[at];
    var total = 0.0;
    for (var j = local; j < task.rows; j += WORKGROUP) {
        total += factors[task.row + j * task.stride];
    }
    mine[local] = total;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            mine[local] += mine[local + half];
        }
    }
    if local == 0u {
        factors[task.mean] = mine[0] / f32(task.rows);
    }
}
