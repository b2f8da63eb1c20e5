// The norm, and the factor that clips by it, as torch.nn.utils.clip_grad_norm_. settings: the largest norm, 0
// for no clipping.
fn conclude(at: u32, settings: vec2f, sum: vec2f) -> f32 {
    let norm = gain() * sqrt(sum.x);
    results[at] = vec2f(norm, sum.y);
    let factor = settings.x / (norm + 1e-6);
    // A NaN stays one, for all tensors: `min` may give 1.
    let is_nan = (bitcast<u32>(norm) & 0x7fffffffu) > 0x7f800000u;
    return select(select(min(1.0, factor), norm, is_nan), 1.0, settings.x == 0.0);
}
