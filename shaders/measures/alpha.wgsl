// What the adaptive alpha is found from.
alias La_Sum = vec2f;

#if first_pass
#import parts/slow

fn la_curvature(i: u32) -> vec4f {
    let v = la_planes[la_plane(LA_CURVATURE_AT, i)];
#if curvature_raw
    return v; // or what the caller wrote
#else
#if curvature_root
    return sqrt(control.curvature.x * v) + control.curvature.y; // sqrt(v^) + eps, by which Adam divides
#else
    return control.curvature.x * v; // v^, the bias-corrected second moment (or empirical Fisher)
#end
#end
}

// g'd and d'Ad, d = theta - phi, for the adaptive slow step size.
fn la_measures() -> bool {
    return la_does(LA_SYNC);
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let place = la_locate(i);
    let w = la_load_weights(place);
    let g = control.gradient_scale * la_raw_gradient(i, place) + control.l2 * w;
    let d = select(vec4f(), w - la_load_slow(i), inside);
    return vec2f(dot(select(vec4f(), g, inside), d), dot(d, select(vec4f(), la_curvature(i), inside) * d));
}
#else
// alpha^ = clip(1 - g'd / d'Ad, alpha_low, 1); -1, which stands for the fixed alpha, where that is no number.
// settings: alpha_low.
fn la_finalise(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    if all(sum == vec2f()) {
        return -1.0; // nothing moved, or no sync is due: what was found last may still be read
    }
    let exponents = bitcast<vec2u>(sum) & vec2u(0x7f800000u);
    let found = sum.y > 0.0 && all(exponents != vec2u(0x7f800000u));
    let alpha = clamp(1.0 - sum.x / select(1.0, sum.y, found), settings.x, 1.0);
    la_results[at] = vec2f(select(-1.0, alpha, found), 0.0);
    return la_results[at].x;
}
#end
