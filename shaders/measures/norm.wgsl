// The gradient's norm, and whether it is finite.
alias La_Sum = vec4f;

#if first_pass
#import parts/squares

// The squares of the gradient, and whether a value of it is not finite.
fn la_measures() -> bool {
    return true;
}

fn la_gradient_inside(i: u32, inside: vec4<bool>) -> vec4f {
    return select(vec4f(), la_gradient_to_reduce(i, la_locate(i)), inside);
}

alias La_Plain = f32;

fn la_plain(i: u32, inside: vec4<bool>) -> La_Plain {
    let g = la_gradient_inside(i, inside);
    return dot(g, g);
}

fn la_serves(sum: La_Plain) -> bool {
    return la_is_plain(sum);
}

fn la_from_plain(sum: La_Plain) -> La_Sum {
    return vec4f(sum, 0.0, 0.0, 0.0);
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    return la_squares_of(la_gradient_inside(i, inside));
}
#else
#import parts/split

fn la_inverse_loss_scale() -> f32 {
#if scaled
    return bitcast<f32>(la_guard[${unscale}]);
#else
    return 1.0;
#end
}

// The norm, and the factor that clips by it, as torch.nn.utils.clip_grad_norm_. settings: the largest norm, 0
// for no clipping. The results are x and y: the norm is x 2^-y, y being 0 or below where f32 does not hold it; where a
// gradient is not finite neither is x, and y is 1 for infinities, 2 for a NaN.
fn la_finalise(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    let is_nan = sum.w >= 0x1p64;
    let is_infinite = sum.w > 0.0 && !is_nan;
    let norm = la_product(la_split(la_inverse_loss_scale()), la_norm(sum));
    let beyond = max(norm.exponent - 127, 0);
    let found = vec2f(la_joined(la_shifted(norm, -beyond)), -f32(beyond));
    let not_finite = vec2f(la_not_finite(select(0x7f800000u, 0x7fc00000u, is_nan)), select(1.0, 2.0, is_nan));
    la_results[at] = select(found, not_finite, is_nan || is_infinite);
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
#end
