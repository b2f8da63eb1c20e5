// Policy interpolate: a slow copy of every slot moves by alpha, and the slot restarts there.
@group(2) @binding(2) var<storage, read_write> slow_slots: array<vec4f>;

fn sync_state(i: u32) {
    let begin = does(FIRST_CYCLE);
    for (var s = 0u; s < SLOTS; s++) {
        var phi = initial(s);
        if !begin {
            phi = slow_slots[s * window.stride + i];
        }
        state[s] += control.pull * (phi - state[s]);
        slow_slots[s * window.stride + i] = state[s];
    }
}
