// Policies maintain and reset: nothing is done at the sync (a reset starts the next step with INIT).
fn sync_state(i: u32) {}
