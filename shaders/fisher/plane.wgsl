// The empirical Fisher of a rule that has no second moment: a running mean of squared gradients.
fn la_observe(i: u32, g: vec4f) {
    let at = la_plane(LA_FISHER_AT, i);
    la_planes[at] = control.fisher.x * la_planes[at] + control.fisher.y * g * g;
}

fn la_forget(i: u32) {
    if LA_STATE_RESETS {
        la_planes[la_plane(LA_FISHER_AT, i)] = vec4f();
    }
}
