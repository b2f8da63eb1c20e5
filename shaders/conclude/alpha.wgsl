// alpha^ = clip(1 - g'd / d'Ad, alpha_low, 1); -1, which stands for the fixed alpha, where that is no number.
// settings: alpha_low.
fn la_conclude(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    if all(sum == vec2f()) {
        return -1.0; // nothing moved, or no sync is due: what was found last may still be read
    }
    let exponents = bitcast<vec2u>(sum) & vec2u(0x7f800000u);
    let found = sum.y > 0.0 && all(exponents != vec2u(0x7f800000u));
    let alpha = clamp(1.0 - sum.x / select(1.0, sum.y, found), settings.x, 1.0);
    la_results[at] = vec2f(select(-1.0, alpha, found), 0.0);
    return la_results[at].x;
}
