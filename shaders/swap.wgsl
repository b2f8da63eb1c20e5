// Exchanges the weights with something else, in place and without losing a bit of either.
override WORKGROUP: u32;

@compute @workgroup_size(WORKGROUP)
fn swap(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= window.count {
        return;
    }
    let i = window.first + id.x;
    let place = locate(i);
    let other = exchange(i, load_weights(place));
    store_weights(place, other);
    store_copy(i, other);
}
