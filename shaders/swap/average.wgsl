// Exchanges weights and average.
fn la_exchange(i: u32, w: vec4f) -> vec4f {
    let at = la_plane(LA_AVERAGE_AT, i);
    let other = la_planes[at];
    la_planes[at] = w;
    return other;
}
