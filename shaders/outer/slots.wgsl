// The outer step's buffers, zero at the seed. `load_outer` and `store_outer` are one call for each, written out
// when the kernel is composed.
var<private> outer_state: array<vec4f, OUTER_SLOTS>;

fn load_outer_slot(slot: u32, i: u32) -> vec4f {
    return select(planes[plane(OUTER_AT + slot, i)], vec4f(), does(SEED));
}

fn store_outer_slot(slot: u32, i: u32, value: vec4f) {
    planes[plane(OUTER_AT + slot, i)] = value;
}
