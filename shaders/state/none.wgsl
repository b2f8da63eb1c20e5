// A rule without state.
fn load_state(i: u32) {}

fn store_state(i: u32) {}

fn sync_state(i: u32) {}
