// v^, the bias-corrected second moment (or empirical Fisher).
fn curvature(i: u32) -> vec4f {
    return control.curvature.x * planes[plane(CURVATURE_AT, i)];
}
