// Second pass of a reduction to rows: each thread adds the partial sums of one.
override LA_WORKGROUP: u32;

@compute @workgroup_size(LA_WORKGROUP)
fn la_finish(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.x + id.y * groups.x * LA_WORKGROUP;
    if at >= arrayLength(&la_ranges) {
        return;
    }
    let range = la_ranges[at];
    var sum = La_Sum();
    for (var j = 0u; j < range.count; j += 1u) {
        sum += la_partials[range.first + j];
    }
    la_factors[la_place.x + at] = la_conclude(at, range.settings, sum);
}
