// 1 - alpha.
fn pull(i: u32) -> f32 {
    return control.pull;
}
