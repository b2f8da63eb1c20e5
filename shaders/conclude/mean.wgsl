// The mean of a row. settings: 1 / its length.
fn la_conclude(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    let large = settings.x * sum.y;
    // Of finite values it is finite, whatever rounding says.
    let is_finite = (bitcast<u32>(large) & 0x7f800000u) != 0x7f800000u;
    let bounded = select(large, clamp(large, -0x1.fffffep63, 0x1.fffffep63), is_finite);
    return settings.x * sum.x + 0x1p64 * bounded;
}
