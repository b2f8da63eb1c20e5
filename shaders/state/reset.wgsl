// Policy reset: every slot starts again.
const STATE_SYNCS = true;

fn sync_slot(slot: u32, i: u32, value: vec4f) -> vec4f {
    return initial(slot);
}
