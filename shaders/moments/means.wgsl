// Second moments, third pass: the mean of the rows of each matrix.
#import parts/control

override LA_WORKGROUP: u32;

struct La_Matrix {
    row: u32,    // its first row, in `la_factors`
    rows: u32,
    stride: u32, // from one to the next
    mean: u32,   // where the mean goes
}

@group(1) @binding(0) var<storage, read> la_tasks: array<La_Matrix>;
@group(1) @binding(3) var<storage, read_write> la_factors: array<f32>;

var<workgroup> la_mine: array<f32, LA_WORKGROUP>;

@compute @workgroup_size(LA_WORKGROUP)
fn la_means(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&la_tasks) || !la_all_do(LA_UPDATE) {
        return;
    }
    let task = la_tasks[at];
    // Four on their way at once.
    var four = vec4f();
    for (var j = local; j < task.rows; j += 4u * LA_WORKGROUP) {
        let rows = vec4u(j) + LA_WORKGROUP * vec4u(0u, 1u, 2u, 3u);
        let at = vec4u(task.row) + task.stride * min(rows, vec4u(task.rows - 1u));
        let found = vec4f(la_factors[at.x], la_factors[at.y], la_factors[at.z], la_factors[at.w]);
        four += select(vec4f(), found, rows < vec4u(task.rows));
    }
    let total = four.x + four.y + four.z + four.w;
    la_mine[local] = total;
    for (var half = LA_WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            la_mine[local] += la_mine[local + half];
        }
    }
    if local == 0u {
        la_factors[task.mean] = la_mine[0] / f32(task.rows);
    }
}
