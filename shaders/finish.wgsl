// Second pass of a reduction, over all its ranges.
#if scaled
// The gradient is that of the loss times the loss scale.
@group(0) @binding(5) var<storage, read> la_guard: array<u32>;

#end
override LA_WORKGROUP: u32;

#import parts/conclude

@compute @workgroup_size(LA_WORKGROUP)
fn la_finish(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_conclude((group.x + group.y * groups.x) * (LA_WORKGROUP / LA_LANES) + local / LA_LANES, local);
}
