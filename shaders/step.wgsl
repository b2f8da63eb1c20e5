// One inner step of a window, with the Lookahead sync fused into the k-th: one thread a vec4.
override LA_WORKGROUP: u32;

@compute @workgroup_size(LA_WORKGROUP)
fn la_step(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= la_window.count || !la_does(~0u) {
        return;
    }
    let i = la_window.first + id.x;
    let place = la_locate(i);
    if la_does(LA_GATHER) {
        la_gather(i, la_load_gradient(place));
        return;
    }
    let before = la_load_weights(place);
    var after = before;
    if la_does(LA_UPDATE) || LA_STATE_SYNCS {
        la_load_state(i);
    }
    if la_does(LA_UPDATE) {
        let g = la_gradient(i, place);
        la_observe(i, g);
        la_load_trust(i);
        after = update(before - control.shrink * before, la_normalise(i, g + control.l2 * before));
    }
    if la_does(LA_SYNC) {
        after = la_sync(i, before, after);
    } else if la_does(LA_SEED) {
        la_seed(i, before);
    }
    la_average(i, after);
    la_store_weights(place, after);
    if la_does(LA_UPDATE) || LA_STATE_SYNCS {
        la_store_state(i);
    }
    la_store_copy(i, after);
}
