#import parts/place

// Four values at a time: each tensor starts at a multiple of them, and the four that its last is in are bound too. They are
// words, since what lies behind a tensor is stored again as it was, whatever it stands for.
alias La_Weight = vec4u;
#if half_gradients
alias La_Gradient = vec2u;
#else
alias La_Gradient = vec4u;
#end

fn la_gradient_words(at: u32) -> La_Gradient {
#if !pooled
    return la_bound_gradients(at);
#else
#if half_gradients
    let both = la_bound_weights(at / 2u);
    return select(both.xy, both.zw, at % 2u == 1u);
#else
    return la_bound_weights(at);
#end
#end
}

#if half_gradients
#import parts/half

fn la_load_gradient(place: La_Place) -> vec4f {
#if f16_gradients
    return la_unpack_f16(la_gradient_words(place.gradients / 4u));
#else
    return la_unpack_bf16(la_gradient_words(place.gradients / 4u));
#end
}
#else
fn la_load_gradient(place: La_Place) -> vec4f {
    return bitcast<vec4f>(la_gradient_words(place.gradients / 4u));
}
#end

// What the last load found: a store is at the same place, and puts back what is not the tensor's.
var<private> la_found: vec4u;

fn la_load_weights(place: La_Place) -> vec4f {
    la_found = la_bound_weights(place.weights / 4u);
    return bitcast<vec4f>(la_found);
}

fn la_store_weights(place: La_Place, w: vec4f) {
    if place.lanes > 0u {
        let is_own = vec4u(0u, 1u, 2u, 3u) < vec4u(place.lanes);
        la_set_weights(place.weights / 4u, select(la_found, bitcast<vec4u>(w), is_own));
    }
}
