// Second pass of a reduction: each workgroup adds the partial sums of one range and concludes from them.
@compute @workgroup_size(LA_WORKGROUP)
fn la_finish(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&la_ranges) {
        return;
    }
    let range = la_ranges[at];
    var mine = La_Sum();
    for (var j = local; j < range.count; j += LA_WORKGROUP) {
        mine += la_partials[range.first + j];
    }
    let sum = la_workgroup_sum(local, mine);
    if local == 0u {
        la_factors[la_place.x + at] = la_conclude(at, range.settings, sum);
    }
}
