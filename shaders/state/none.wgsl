// A rule without state.
const STATE_SYNCS = false;

fn load_state(i: u32) {}

fn store_state(i: u32) {}

fn sync_state(i: u32) {}
