// The mean of a row. settings: 1 / its length.
fn conclude(at: u32, settings: vec2f, sum: vec2f) -> f32 {
    return settings.x * sum.x;
}
