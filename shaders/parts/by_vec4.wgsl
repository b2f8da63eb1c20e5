#import parts/place

// Weights and gradients in somebody else's buffers, where each tensor starts at a multiple of four values and the four
// that its last is in are bound too. They are words, since what lies behind a tensor is stored again as it was, whatever
// it stands for.
@group(1) @binding(1) var<storage, read_write> la_weights: array<vec4u>;

#if pooled
// Both side by side in one: WebGPU forbids a read and a read_write binding of one buffer in one dispatch, and
// overlapping ones, so it is bound once.
#if half_gradients
fn la_gradient_words(at: u32) -> vec2u {
    let both = la_weights[at / 2u];
    return select(both.xy, both.zw, at % 2u == 1u);
}
#else
fn la_gradient_words(at: u32) -> vec4u {
    return la_weights[at];
}
#end
#else
#if half_gradients
alias La_Four = vec2u;
#else
alias La_Four = vec4u;
#end

#if far
// Both in one, too far apart for one binding: WebGPU allows two bindings of one buffer in one dispatch where both are
// read_write and do not overlap.
@group(1) @binding(2) var<storage, read_write> la_gradients: array<La_Four>;
#else
@group(1) @binding(2) var<storage, read> la_gradients: array<La_Four>;
#end

fn la_gradient_words(at: u32) -> La_Four {
    return la_gradients[at];
}
#end

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
    la_found = la_weights[place.weights / 4u];
    return bitcast<vec4f>(la_found);
}

fn la_store_weights(place: La_Place, w: vec4f) {
    if place.lanes > 0u {
        let is_own = vec4u(0u, 1u, 2u, 3u) < vec4u(place.lanes);
        la_weights[place.weights / 4u] = select(la_found, bitcast<vec4u>(w), is_own);
    }
}
