// An average of the weights, which nothing reads back: mean <- mean + share (w - mean).
fn average(i: u32, w: vec4f) {
    if does(AVERAGE) {
        let at = plane(AVERAGE_AT, i);
        planes[at] = select(planes[at] + control.share * (w - planes[at]), w, control.share == 1.0);
    }
}
