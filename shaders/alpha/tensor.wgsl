// 1 - alpha, as found for the tensor; the fixed one where none could be found.
fn la_pull(i: u32) -> f32 {
    let alpha = la_factors[la_window.alpha + la_tensor_of(i)];
    return select(1.0 - alpha, control.pull, alpha <= 0.0 || la_does(LA_FIXED));
}
