// One inner step of a window, with the Lookahead sync fused into the k-th: one thread a vec4.
override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn step(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= window.count || !does(~0u) {
        return;
    }
    let i = window.first + id.x;
    let place = locate(i);
    if does(GATHER) {
        gather(i, load_gradient(place));
        return;
    }
    let before = load_weights(place);
    var after = before;
    if does(UPDATE) || STATE_SYNCS {
        load_state(i);
    }
    if does(UPDATE) {
        let g = gradient(i, place);
        observe(i, g);
        load_trust(i);
        after = update(before - control.shrink * before, normalise(i, g + control.l2 * before));
    }
    if does(SYNC) {
        after = sync(i, before, after);
    } else if does(SEED) {
        seed(i, before);
    }
    average(i, after);
    store_weights(place, after);
    if does(UPDATE) || STATE_SYNCS {
        store_state(i);
    }
    store_copy(i, after);
}
