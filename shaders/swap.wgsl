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
fn la_swap(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    la_take_window();
    let first = (group.x * LA_WORKGROUP + local) * ${vec4s}u;
    la_enter(la_window.first + first);
#for n in vec4s
    la_swap_at(first + ${n}u);
#end
}

fn la_swap_at(at: u32) {
    if at >= la_window.count {
        return;
    }
    let i = la_window.first + at;
    let place = la_locate(i);
    let w = la_load_weights(place);
#if swaps_slow
    let other = la_slow[i];
    la_slow[i] = w;
#else
    let average = la_plane(LA_AVERAGE_AT, i);
    let other = la_planes[average];
    la_planes[average] = w;
#end
    la_store_weights(place, other);
#if half_weights
    la_half_weights[i] = la_pack(other);
#end
}
