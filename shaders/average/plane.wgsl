// An average of the weights, which nothing reads back: mean <- w + keep (mean - w).
fn average(i: u32, w: vec4f) {
    if does(AVERAGE) {
        let at = plane(AVERAGE_AT, i);
        planes[at] = w + control.keep * (planes[at] - w);
    }
}
