// v, or what the caller wrote.
fn la_curvature(i: u32) -> vec4f {
    return la_planes[la_plane(LA_CURVATURE_AT, i)];
}
