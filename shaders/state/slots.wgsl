// The rule's state: the first LA_SLOTS planes. `load_state`, `store_state` and `sync_state` are one call for each
// slot, written out when the kernel is composed.
var<private> state: array<vec4f, LA_SLOTS>;

fn la_initial(slot: u32) -> vec4f {
    return vec4f(control.initial[slot / 4u][slot % 4u]);
}

fn la_load_slot(slot: u32, i: u32) -> vec4f {
    return la_planes[la_plane(slot, i)];
}

fn la_store_slot(slot: u32, i: u32, value: vec4f) {
    la_planes[la_plane(slot, i)] = value;
}
