// Lookahead: the slow weights phi.
fn seed(i: u32, before: vec4f) {
    store_slow(i, before);
    load_outer(i);
    store_outer(i);
}

fn sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    var phi = before;
    if !does(SEED) {
        phi = load_slow(i);
    }
    load_outer(i);
    let synced = outer(phi, after, pull(i));
    store_outer(i);
    store_slow(i, synced);
    sync_state(i);
    forget(i);
    return synced;
}
