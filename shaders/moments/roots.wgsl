// Second moments, fourth pass, of tensors that are factored: what a gradient is divided by, the root of the mean by
// column, and what it is multiplied with, the root of the matrix's mean over the root of the mean by row.
#import moments/entries

@compute @workgroup_size(LA_WORKGROUP)
fn la_roots(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&la_tasks) || !la_does(LA_UPDATE) {
        return;
    }
    let task = la_tasks[at];
    if task.root == ~0u {
        return;
    }
    for (var j = local; j < task.count; j += LA_WORKGROUP) {
        var root = sqrt(la_factors[task.at + j]);
        if task.mean != ~0u {
            let number = task.number + j;
            // In this order nothing leaves the range of f32 where a whole row or column has no gradient.
            root = sqrt(la_factors[task.mean + number / task.block * task.stride + number % task.stride]) / root;
        }
        la_factors[task.root + j] = root;
    }
}
