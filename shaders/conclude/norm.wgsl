// The norm, and the factor that clips by it, as torch.nn.utils.clip_grad_norm_. settings: the largest norm (0:
// no clipping), and what the gradient is multiplied with.
fn conclude(at: u32, settings: vec2f, sum: vec2f) -> f32 {
    let norm = gain() * settings.y * sqrt(sum.x);
    results[at] = vec2f(norm, sum.y);
    return select(min(1.0, settings.x / (norm + 1e-6)), 1.0, settings.x == 0.0);
}
