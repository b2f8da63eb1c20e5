// Policy reset: every slot starts again.
const LA_STATE_SYNCS = true;

fn la_sync_slot(slot: u32, i: u32, value: vec4f) -> vec4f {
    return la_initial(slot);
}
