// 1 - alpha, as found for the tensor; the fixed one where none could be found.
fn pull(i: u32) -> f32 {
    let alpha = factors[window.alpha + tensor_of(i)];
    return select(1.0 - alpha, control.pull, alpha <= 0.0 || does(FIXED));
}
