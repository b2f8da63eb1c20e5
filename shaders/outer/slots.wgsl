// The outer step's buffers, zero at the seed. `load_outer` and `store_outer` are one call for each, written out
// when the kernel is composed.
var<private> outer_state: array<vec4f, LA_OUTER_SLOTS>;

fn la_load_outer_slot(slot: u32, i: u32) -> vec4f {
    return select(la_planes[la_plane(LA_OUTER_AT + slot, i)], vec4f(), la_does(LA_SEED));
}

fn la_store_outer_slot(slot: u32, i: u32, value: vec4f) {
    la_planes[la_plane(LA_OUTER_AT + slot, i)] = value;
}
