// Exchanges weights and average.
fn exchange(i: u32, w: vec4f) -> vec4f {
    let at = plane(AVERAGE_AT, i);
    let other = planes[at];
    planes[at] = w;
    return other;
}
