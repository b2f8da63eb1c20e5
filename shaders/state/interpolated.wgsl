// Policy interpolate: a slow copy of every slot, in the planes after them, moves by alpha, and the slot
// restarts there.
const LA_STATE_SYNCS = true;

fn la_sync_slot(slot: u32, i: u32, value: vec4f) -> vec4f {
    let at = la_plane(LA_SLOTS + slot, i);
    let synced = value + la_pull(i) * (la_planes[at] - value);
    la_planes[at] = synced;
    return synced;
}
