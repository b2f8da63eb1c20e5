// Policy interpolate: a slow copy of every slot moves by alpha, and the slot restarts there.
@group(2) @binding(2) var<storage, read_write> slow_slots: array<vec4f>;

fn sync_slot(slot: u32, i: u32, value: vec4f) -> vec4f {
    var phi = initial(slot);
    if !does(FIRST_CYCLE) {
        phi = slow_slots[slot * window.stride + i];
    }
    let synced = value + control.pull * (phi - value);
    slow_slots[slot * window.stride + i] = synced;
    return synced;
}
