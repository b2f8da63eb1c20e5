// A rule without state.
const LA_STATE_SYNCS = false;

fn la_load_state(i: u32) {}

fn la_store_state(i: u32) {}

fn la_sync_state(i: u32) {}
