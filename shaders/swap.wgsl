// Exchanges the weights with something else, in place and without losing a bit of either.
override LA_WORKGROUP: u32;

@compute @workgroup_size(LA_WORKGROUP)
fn la_swap(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= la_window.count {
        return;
    }
    let i = la_window.first + id.x;
    let place = la_locate(i);
    let other = la_exchange(i, la_load_weights(place));
    la_store_weights(place, other);
    la_store_copy(i, other);
}
