// v^, the bias-corrected second moment (or empirical Fisher).
fn la_curvature(i: u32) -> vec4f {
    return control.curvature.x * la_planes[la_plane(LA_CURVATURE_AT, i)];
}
