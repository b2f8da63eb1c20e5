// Second pass of a reduction: each workgroup adds the partial sums of one range and concludes from them.
@compute @workgroup_size(WORKGROUP)
fn finish(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&ranges) {
        return;
    }
    let range = ranges[at];
    var mine = vec2f();
    for (var j = local; j < range.count; j += WORKGROUP) {
        mine += partials[range.first + j];
    }
    let sum = workgroup_sum(local, mine);
    if local == 0u {
        factors[place.x + at] = conclude(at, range.settings, sum);
    }
}
