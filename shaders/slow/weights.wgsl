// Lookahead: the slow weights phi.
fn la_seed(i: u32, before: vec4f) {
    la_store_slow(i, before);
    la_load_outer(i);
    la_store_outer(i);
}

fn la_sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    var phi = before;
    if !la_does(LA_SEED) {
        phi = la_load_slow(i);
    }
    la_load_outer(i);
    let synced = outer(phi, after, la_pull(i));
    la_store_outer(i);
    la_store_slow(i, synced);
    la_sync_state(i);
    la_forget(i);
    return synced;
}
