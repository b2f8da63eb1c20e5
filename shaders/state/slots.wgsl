// The rule's state: the first SLOTS planes. `load_state`, `store_state` and `sync_state` are one call for each
// slot, written out when the kernel is composed.
var<private> state: array<vec4f, SLOTS>;

fn initial(slot: u32) -> vec4f {
    return vec4f(control.initial[slot / 4u][slot % 4u]);
}

fn load_slot(slot: u32, i: u32) -> vec4f {
    return planes[plane(slot, i)];
}

fn store_slot(slot: u32, i: u32, value: vec4f) {
    planes[plane(slot, i)] = value;
}
