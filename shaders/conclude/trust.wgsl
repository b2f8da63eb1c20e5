// The trust ratio, as optax.scale_by_trust_ratio. settings: coefficient, eps.
fn conclude(at: u32, settings: vec2f, sum: vec2f) -> f32 {
    let norms = sqrt(sum);
    let ratio = settings.x * norms.x / (norms.y + settings.y);
    return select(ratio, 1.0, norms.x == 0.0 || norms.y == 0.0);
}
