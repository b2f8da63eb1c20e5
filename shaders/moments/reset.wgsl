// Policy reset: they start again.
fn la_sync_entry(task: La_Entries, j: u32) {
    la_factors[task.at + j] = 0.0;
}
