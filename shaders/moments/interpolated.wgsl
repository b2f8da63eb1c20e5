// Policy interpolate: a slow copy moves by alpha, as found for the tensor or fixed, and the moment restarts there.
fn la_sync_entry(task: La_Entries, j: u32) {
    var pull = control.pull;
    if task.alpha != ~0u && !la_does(LA_FIXED) {
        let alpha = la_factors[task.alpha];
        pull = select(1.0 - alpha, pull, alpha <= 0.0);
    }
    let value = la_factors[task.at + j];
    let synced = value + pull * (la_factors[task.slow + j] - value);
    la_factors[task.at + j] = synced;
    la_factors[task.slow + j] = synced;
}
