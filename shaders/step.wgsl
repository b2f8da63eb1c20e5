#import rule
// One inner step of a window, with the Lookahead sync fused into the k-th.
#import parts/control
#import parts/access
#import parts/gradient
#import parts/inner
#if lookahead
#import parts/lookahead
#end
#if half_weights
#import parts/half

// A copy of the weights for the model's kernels.
@group(3) @binding(0) var<storage, read_write> la_half_weights: array<vec2u>;
#end

override LA_WORKGROUP: u32;

@compute @workgroup_size(LA_WORKGROUP)
fn la_step(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    la_take_control();
    la_take_window();
    let first = (group.x * LA_WORKGROUP + local) * ${vec4s}u;
    la_enter(la_window.first + first);
#for n in vec4s
    la_step_at(first + ${n}u);
#end
}

fn la_step_at(at: u32) {
    if at >= la_window.count || !la_does(~0u) {
        return;
    }
    let i = la_window.first + at;
    let place = la_locate(i);
#if accumulates
    // All but the last micro-batch only add their gradient to a plane.
    if la_does(LA_ACCUMULATE) {
        let at = la_plane(LA_ACCUMULATED_AT, i);
#if variance_reduced
        la_planes[at] = select(la_planes[at], vec4f(), la_does(LA_FRESH)) + la_given_gradient(i, place);
#else
        la_planes[at] = select(la_planes[at], vec4f(), la_does(LA_FRESH)) + la_load_gradient(place);
#end
        return;
    }
#end
    let before = la_load_weights(place);
    var after = before;
#if anchored
    la_take_anchor(i, before);
#end
#if anderson
    if la_does(LA_KEEP) {
        la_keep_iterate(i, before);
    }
#end
#if moves_state
    la_load_state(i);
#end
    if la_does(LA_UPDATE) {
#if !moves_state
        la_load_state(i);
#end
        let g = la_gradient(i, place);
#if fisher
        // The empirical Fisher of a rule that has no second moment: a running mean of squared gradients.
        let fisher = la_plane(LA_FISHER_AT, i);
        la_planes[fisher] = control.fisher.x * la_planes[fisher] + control.fisher.y * g * g;
#end
        after = la_inner(i, before, g);
    }
#if lookahead
    if la_does(LA_SYNC) {
        after = la_sync(i, before, after);
#if tasks
    } else if la_does(LA_TASK) {
        after = la_end_task(i, before, after);
#end
    } else if la_does(LA_INIT) {
        la_init(i, before);
    }
#end
#if average
    // An average of the weights, which nothing reads back: mean <- mean + weight (w - mean).
    if la_does(LA_AVERAGE) {
        let at = la_plane(LA_AVERAGE_AT, i);
        la_planes[at] = select(la_planes[at] + control.average_weight * (after - la_planes[at]), after, control.average_weight == 1.0);
    }
#end
    la_store_weights(place, after);
#if moves_state
    la_store_state(i);
#else
    if la_does(LA_UPDATE) {
        la_store_state(i);
    }
#end
#if half_weights
    la_half_weights[i] = la_pack(after);
#end
}
