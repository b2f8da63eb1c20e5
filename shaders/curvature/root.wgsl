// sqrt(v^) + eps, by which Adam divides.
fn curvature(i: u32) -> vec4f {
    return sqrt(control.curvature.x * planes[plane(CURVATURE_AT, i)]) + control.curvature.y;
}
