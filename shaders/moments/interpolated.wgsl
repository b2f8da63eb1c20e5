// Policy interpolate: a slow copy moves by alpha, as found for the tensor or fixed, and the moment restarts there.
fn sync_entry(task: Entries, j: u32) {
    var pull = control.pull;
    if task.alpha != ~0u && !does(FIXED) {
        let alpha = factors[task.alpha];
        pull = select(1.0 - alpha, pull, alpha <= 0.0);
    }
    let value = factors[task.at + j];
    let synced = value + pull * (factors[task.slow + j] - value);
    factors[task.at + j] = synced;
    factors[task.slow + j] = synced;
}
