#import parts/place

// Value by value: a tensor may start at any.
alias La_Weight = f32;
alias La_Gradient = u32;

fn la_gradient_word(at: u32) -> u32 {
#if pooled
    return bitcast<u32>(la_bound_weights(at));
#else
    return la_bound_gradients(at);
#end
}

#if half_gradients
// Two values a word.
fn la_gradient_value(at: u32) -> f32 {
    let word = la_gradient_word(at / 2u);
#if f16_gradients
    return unpack2x16float(word)[at % 2u];
#else
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, at % 2u == 1u));
#end
}
#else
fn la_gradient_value(at: u32) -> f32 {
    return bitcast<f32>(la_gradient_word(at));
}
#end

// Padding takes the last value again.
fn la_four(at: u32, lanes: u32) -> vec4u {
    return vec4u(at) + min(vec4u(0u, 1u, 2u, 3u), vec4u(max(lanes, 1u) - 1u));
}

fn la_load_weights(place: La_Place) -> vec4f {
    let at = la_four(place.weights, place.lanes);
    return vec4f(la_bound_weights(at.x), la_bound_weights(at.y), la_bound_weights(at.z), la_bound_weights(at.w));
}

fn la_load_gradient(place: La_Place) -> vec4f {
    let at = la_four(place.gradients, place.lanes);
    return vec4f(la_gradient_value(at.x), la_gradient_value(at.y), la_gradient_value(at.z), la_gradient_value(at.w));
}

fn la_store_weights(place: La_Place, w: vec4f) {
    if place.lanes > 0u { la_set_weights(place.weights, w.x); }
    if place.lanes > 1u { la_set_weights(place.weights + 1u, w.y); }
    if place.lanes > 2u { la_set_weights(place.weights + 2u, w.z); }
    if place.lanes > 3u { la_set_weights(place.weights + 3u, w.w); }
}
