// Second pass of a reduction: each workgroup adds the partial sums of one range (a row's, a tensor's, a
// group's or all) and concludes from them.
struct Range {
    first: u32,
    count: u32,
    settings: vec2f, // of `conclude`
}

@group(0) @binding(0) var<storage, read> ranges: array<Range>;
@group(0) @binding(1) var<storage, read> partials: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> factors: array<f32>;
@group(0) @binding(3) var<storage, read_write> results: array<vec2f>;
@group(0) @binding(4) var<uniform> place: vec4u; // x: where the first range's factor goes

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
