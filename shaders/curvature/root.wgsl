// sqrt(v^) + eps, by which Adam divides.
fn la_curvature(i: u32) -> vec4f {
    return sqrt(control.curvature.x * la_planes[la_plane(LA_CURVATURE_AT, i)]) + control.curvature.y;
}
