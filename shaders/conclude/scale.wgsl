// What multiplies a tensor's step: min(1, threshold / rms(u)), as optax.clip_by_block_rms, times
// max(rms(w), least), as optax.scale_by_param_block_rms. settings: 1 / threshold / sqrt(values), 0 for no
// clipping; 1 / sqrt(values), 0 for no scaling.
const LEAST = 1e-3;

fn conclude(at: u32, settings: vec2f, sum: vec2f) -> f32 {
    let scale = select(1.0, max(LEAST, settings.y * sqrt(sum.x)), settings.y > 0.0);
    return scale / max(1.0, settings.x * sqrt(sum.y));
}
