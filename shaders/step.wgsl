// One inner step of a window, with the Lookahead sync fused into the k-th: one thread a vec4.
override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn step(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= window.count {
        return;
    }
    let i = window.first + id.x;
    let flags = control.flags;
    let before = load_weights(i);
    var after = before;
    load_state(i);
    if (flags & UPDATE) != 0u {
        let gradient = clip(i, load_gradient(i)) + control.l2 * before;
        after = update(before - control.shrink * before, gradient);
    }
    if (flags & SYNC) != 0u {
        after = sync(i, before, after);
    } else if (flags & SEED) != 0u {
        seed(i, before);
    }
    store_weights(i, after);
    store_state(i);
}
