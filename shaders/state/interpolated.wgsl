// Policy interpolate: a slow copy of every slot, in the planes after them, moves by alpha, and the slot
// restarts there.
const STATE_SYNCS = true;

fn sync_slot(slot: u32, i: u32, value: vec4f) -> vec4f {
    let at = plane(SLOTS + slot, i);
    let synced = value + pull(i) * (planes[at] - value);
    planes[at] = synced;
    return synced;
}
