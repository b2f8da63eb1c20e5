// One inner step of a window, with the Lookahead sync fused into the k-th: one thread a vec4.
override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn step(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= window.count {
        return;
    }
    let i = window.first + id.x;
    let place = locate(i);
    let before = load_weights(place);
    var after = before;
    load_state(i);
    if does(UPDATE) {
        let gradient = clip(i, load_gradient(place)) + control.l2 * before;
        after = update(before - control.shrink * before, gradient);
    }
    if does(SYNC) {
        after = sync(i, before, after);
    } else if does(SEED) {
        seed(i, before);
    }
    store_weights(place, after);
    store_state(i);
}
