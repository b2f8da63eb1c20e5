// The empirical Fisher of a rule that has no second moment: a running mean of squared gradients.
fn observe(i: u32, g: vec4f) {
    let at = plane(FISHER_AT, i);
    planes[at] = control.fisher.x * planes[at] + control.fisher.y * g * g;
}

fn forget(i: u32) {
    if STATE_RESETS {
        planes[plane(FISHER_AT, i)] = vec4f();
    }
}
