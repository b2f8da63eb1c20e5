// The rule's state: SLOTS slots side by side, `window.stride` vec4s each. `load_state`, `store_state` and
// `sync_state` are one call for each slot, written out when the kernel is composed.
@group(2) @binding(0) var<storage, read_write> slots: array<vec4f>;

var<private> state: array<vec4f, SLOTS>;

fn initial(slot: u32) -> vec4f {
    return vec4f(control.initial[slot / 4u][slot % 4u]);
}

fn load_slot(slot: u32, i: u32) -> vec4f {
    if does(INIT) {
        return initial(slot);
    }
    return slots[slot * window.stride + i];
}

fn store_slot(slot: u32, i: u32, value: vec4f) {
    slots[slot * window.stride + i] = value;
}
