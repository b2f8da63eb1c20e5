// The norm, and the factor that clips by it, as torch.nn.utils.clip_grad_norm_. settings: the largest norm, 0
// for no clipping. The results: the norm times 2^y, y at most 0, and where a
// gradient is not finite y above 0 instead: 1 for infinities, 2 for a NaN.
fn la_conclude(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    let is_nan = sum.w >= 0x1p64;
    let is_infinite = sum.w > 0.0 && !is_nan;
    let norm = la_product(la_split(la_gain()), la_norm(sum));
    let beyond = max(norm.exponent - 127, 0);
    let found = vec2f(la_joined(la_shifted(norm, -beyond)), -f32(beyond));
    la_results[at] = select(found, vec2f(0.0, select(1.0, 2.0, is_nan)), is_nan || is_infinite);
    if bitcast<u32>(settings.x) == 0u {
        return 1.0;
    }
    if is_nan || is_infinite {
        // One NaN makes all of them NaN, one infinity makes all others 0.
        return la_not_finite(select(0u, 0x7fc00000u, is_nan));
    }
    let factor = la_quotient(la_split(settings.x), la_plus(norm, 1e-6));
    return min(1.0, la_factor(factor));
}
