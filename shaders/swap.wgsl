// Exchanges the weights with the slow ones or with the average, in place and without losing a bit of either: for
// evaluation in the buffers that the model's kernels are bound to.
#import parts/access
#if half_weights
#import parts/half

// A copy of the weights for the model's kernels.
@group(3) @binding(0) var<storage, read_write> la_half_weights: array<vec2u>;
#end
#if swaps_slow

@group(2) @binding(1) var<storage, read_write> la_slow: array<vec4f>;
#end

override LA_WORKGROUP: u32;

@compute @workgroup_size(LA_WORKGROUP)
fn la_swap(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= la_window.count {
        return;
    }
    let i = la_window.first + id.x;
    let place = la_locate(i);
    let w = la_load_weights(place);
#if swaps_slow
    let other = la_slow[i];
    la_slow[i] = w;
#else
    let at = la_plane(LA_AVERAGE_AT, i);
    let other = la_planes[at];
    la_planes[at] = w;
#end
    la_store_weights(place, other);
#if half_weights
    la_half_weights[i] = la_pack(other);
#end
}
