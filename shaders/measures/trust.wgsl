// The norms of the weights and of the rule's direction, for the trust ratio.
alias La_Sum = mat2x4f;

#if first_pass
#import parts/inner
#import parts/squares

// The squares of the weights and of the rule's direction.
fn la_measures() -> bool {
    return la_does(LA_UPDATE);
}

fn la_pair(i: u32, inside: vec4<bool>) -> mat2x4f {
    let place = la_locate(i);
    let w = la_load_weights(place);
    la_load_state(i);
    let direction = measure(w, la_gradient(i, place) + control.l2 * w);
#if measure_stores
    la_store_state(i);
#end
    return mat2x4f(select(vec4f(), w, inside), select(vec4f(), direction, inside));
}

#import parts/pair
#else
#import parts/split

// The trust ratio, as optax.scale_by_trust_ratio. settings: coefficient, eps.
fn la_finalise(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    let wrong = vec2f(sum[0].w, sum[1].w);
    let weights = la_norm(sum[0]);
    let direction = la_norm(sum[1]);
    let is_zero = vec2f(weights.mantissa, direction.mantissa) == vec2f();
    if any(is_zero & (wrong == vec2f())) {
        return 1.0;
    }
    if any(wrong >= vec2f(0x1p64)) || all(wrong > vec2f()) {
        return la_not_finite(0x7fc00000u);
    }
    if any(wrong > vec2f()) {
        return la_not_finite(select(0u, 0x7f800000u, wrong.x > 0.0));
    }
    let scaled = la_product(la_split(settings.x), weights);
    return la_factor(la_quotient(scaled, la_plus(direction, settings.y)));
}
#end
