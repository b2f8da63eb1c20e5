// What a sync does to second moments.
@compute @workgroup_size(WORKGROUP)
fn sync(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&tasks) || !does(SYNC) {
        return;
    }
    let task = tasks[at];
    for (var j = local; j < task.count; j += WORKGROUP) {
        sync_entry(task, j);
    }
}
