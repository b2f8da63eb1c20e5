// An average of the weights, which nothing reads back: mean <- mean + share (w - mean).
fn la_average(i: u32, w: vec4f) {
    if la_does(LA_AVERAGE) {
        let at = la_plane(LA_AVERAGE_AT, i);
        la_planes[at] = select(la_planes[at] + control.share * (w - la_planes[at]), w, control.share == 1.0);
    }
}
