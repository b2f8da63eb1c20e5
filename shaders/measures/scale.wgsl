// The root mean squares of the weights and of the gradient over the root of its second moment.
alias La_Sum = mat2x4f;

#if first_pass
#import parts/factored
#import parts/squares

// The squares of the weights and of the gradient over the root of its second moment.
fn la_measures() -> bool {
    return la_does(LA_UPDATE);
}

fn la_pair(i: u32, inside: vec4<bool>) -> mat2x4f {
    let place = la_locate(i);
    let w = la_load_weights(place);
    let u = la_over_root(i, la_gradient(i, place) + control.l2 * w);
    return mat2x4f(select(vec4f(), w, inside), select(vec4f(), u, inside));
}

#import parts/pair
#else
#import parts/split

// What multiplies a tensor's step: min(1, threshold / rms(u)), as optax.clip_by_block_rms, times
// max(rms(w), least), as optax.scale_by_param_block_rms. settings: 1 / threshold / sqrt(values), 0 for no
// clipping; 1 / sqrt(values), 0 for no scaling.
const LA_LEAST = 1e-3;

fn la_finalise(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    let scales = settings.y > 0.0;
    let clips = settings.x > 0.0;
    let wrong = vec2f(select(0.0, sum[0].w, scales), select(0.0, sum[1].w, clips));
    if any(wrong >= vec2f(0x1p64)) || all(wrong > vec2f()) {
        return la_not_finite(0x7fc00000u);
    }
    if any(wrong > vec2f()) {
        return la_not_finite(select(0u, 0x7f800000u, wrong.x > 0.0));
    }
    let weights = la_joined(la_product(la_split(settings.y), la_norm(sum[0])));
    let steps = la_joined(la_product(la_split(settings.x), la_norm(sum[1])));
    return select(1.0, max(LA_LEAST, weights), scales) / max(1.0, select(1.0, steps, clips));
}
#end
