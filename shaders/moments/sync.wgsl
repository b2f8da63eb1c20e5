// What a sync does to second moments.
@compute @workgroup_size(LA_WORKGROUP)
fn la_sync(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&la_tasks) || !la_does(LA_SYNC) {
        return;
    }
    let task = la_tasks[at];
    for (var j = local; j < task.count; j += LA_WORKGROUP) {
        la_sync_entry(task, j);
    }
}
