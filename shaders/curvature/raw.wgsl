// v, or what the caller wrote.
fn curvature(i: u32) -> vec4f {
    return planes[plane(CURVATURE_AT, i)];
}
