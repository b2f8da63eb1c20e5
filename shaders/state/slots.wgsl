// The rule's state: SLOTS slots side by side, `window.stride` vec4s each.
@group(2) @binding(0) var<storage, read_write> slots: array<vec4f>;

var<private> state: array<vec4f, SLOTS>;

fn initial(slot: u32) -> vec4f {
    return vec4f(control.initial[slot / 4u][slot % 4u]);
}

fn load_state(i: u32) {
    let init = does(INIT);
    for (var s = 0u; s < SLOTS; s++) {
        if init {
            state[s] = initial(s);
        } else {
            state[s] = slots[s * window.stride + i];
        }
    }
}

fn store_state(i: u32) {
    for (var s = 0u; s < SLOTS; s++) {
        slots[s * window.stride + i] = state[s];
    }
}
