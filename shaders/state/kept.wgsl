// Policy maintain: nothing is done at the sync.
const LA_STATE_SYNCS = false;

fn la_sync_slot(slot: u32, i: u32, value: vec4f) -> vec4f {
    return value;
}
