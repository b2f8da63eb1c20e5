// 1 - alpha.
fn la_pull(i: u32) -> f32 {
    return control.pull;
}
