// Second pass of a reduction to rows: each thread adds the partial sums of one.
override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn finish(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.x + id.y * groups.x * WORKGROUP;
    if at >= arrayLength(&ranges) {
        return;
    }
    let range = ranges[at];
    var sum = vec2f();
    for (var j = 0u; j < range.count; j += 1u) {
        sum += partials[range.first + j];
    }
    factors[place.x + at] = conclude(at, range.settings, sum);
}
