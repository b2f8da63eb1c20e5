// What a sync does to second moments.
#import moments/entries

#if interpolates
// Policy interpolate: a slow copy moves by alpha, as found for the tensor or fixed, and the moment restarts there.
fn la_sync_entry(task: La_Entries, j: u32) {
    var one_minus_alpha = control.one_minus_alpha;
    if task.alpha != ~0u && !la_does(LA_FIXED) {
        let alpha = la_factors[task.alpha];
        one_minus_alpha = select(1.0 - alpha, one_minus_alpha, alpha <= 0.0);
    }
    let value = la_factors[task.at + j];
    let synced = value + one_minus_alpha * (la_factors[task.slow + j] - value);
    la_factors[task.at + j] = synced;
    la_factors[task.slow + j] = synced;
}
#else
// Policy reset: they start again.
fn la_sync_entry(task: La_Entries, j: u32) {
    la_factors[task.at + j] = 0.0;
}
#end

@compute @workgroup_size(LA_WORKGROUP)
fn la_sync(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    let at = group.x + group.y * groups.x;
#if tasks
    if at >= arrayLength(&la_tasks) || !la_does(LA_SYNC | LA_TASK) {
        return;
    }
#else
    if at >= arrayLength(&la_tasks) || !la_does(LA_SYNC) {
        return;
    }
#end
    let task = la_tasks[at];
    for (var j = local; j < task.count; j += LA_WORKGROUP) {
        la_sync_entry(task, j);
    }
}
