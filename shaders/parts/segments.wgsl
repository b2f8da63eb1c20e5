// Weights and gradients in somebody else's buffers.
@group(1) @binding(1) var<storage, read_write> la_weights: array<f32>;

#if pooled
// Both side by side in one: WebGPU forbids a read and a read_write binding of one buffer in one dispatch, and
// overlapping ones, so it is bound once.
fn la_gradient_word(at: u32) -> u32 {
    return bitcast<u32>(la_weights[at]);
}
#else
#if far
// Both in one, too far apart for one binding: WebGPU allows two bindings of one buffer in one dispatch where both are
// read_write and do not overlap.
@group(1) @binding(2) var<storage, read_write> la_gradients: array<u32>;
#else
@group(1) @binding(2) var<storage, read> la_gradients: array<u32>;
#end

fn la_gradient_word(at: u32) -> u32 {
    return la_gradients[at];
}
#end

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

struct La_Place {
    weights: u32,   // where the four values start in the bound weights
    gradients: u32, // and in the bound gradients
    lanes: u32,     // how many of the four are the tensor's; the others are padding
}

// Where the segment was entered, and how many values are left of it from there on.
var<private> la_weights_at: u32;
var<private> la_gradients_at: u32;
var<private> la_left: u32;

fn la_enter_place() {
    let skip = 4u * (la_entered - la_table[la_segment]);
    la_weights_at = la_table[la_segment + 2u] + skip;
    la_gradients_at = la_table[la_segment + 3u] + skip;
    la_left = max(la_table[la_segment + 1u], skip) - skip;
}

fn la_locate(i: u32) -> La_Place {
    let skip = 4u * (i - la_entered);
    return La_Place(la_weights_at + skip, la_gradients_at + skip, min(max(la_left, skip) - skip, 4u));
}

// Padding takes the last value again.
fn la_four(at: u32, lanes: u32) -> vec4u {
    return vec4u(at) + min(vec4u(0u, 1u, 2u, 3u), vec4u(max(lanes, 1u) - 1u));
}

fn la_load_weights(place: La_Place) -> vec4f {
    let at = la_four(place.weights, place.lanes);
    return vec4f(la_weights[at.x], la_weights[at.y], la_weights[at.z], la_weights[at.w]);
}

fn la_load_gradient(place: La_Place) -> vec4f {
    let at = la_four(place.gradients, place.lanes);
    return vec4f(la_gradient_value(at.x), la_gradient_value(at.y), la_gradient_value(at.z), la_gradient_value(at.w));
}

fn la_store_weights(at: La_Place, w: vec4f) {
    if at.lanes > 0u { la_weights[at.weights] = w.x; }
    if at.lanes > 1u { la_weights[at.weights + 1u] = w.y; }
    if at.lanes > 2u { la_weights[at.weights + 2u] = w.z; }
    if at.lanes > 3u { la_weights[at.weights + 3u] = w.w; }
}
