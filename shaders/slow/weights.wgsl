// Lookahead: the slow weights phi.
@group(2) @binding(1) var<storage, read_write> slow: array<vec4f>;

fn seed(i: u32, before: vec4f) {
    slow[i] = before;
}

// phi <- phi + alpha (theta - phi), written so that alpha = 1 gives theta bit for bit.
fn sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    var phi = before;
    if !does(SEED) {
        phi = slow[i];
    }
    let synced = after + control.pull * (phi - after);
    slow[i] = synced;
    sync_state(i);
    return synced;
}
