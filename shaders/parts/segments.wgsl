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

fn la_locate(i: u32) -> La_Place {
    let at = la_segment_of(i);
    let skip = 4u * (i - la_table[at]);
    let left = max(la_table[at + 1u], skip) - skip;
    return La_Place(la_table[at + 2u] + skip, la_table[at + 3u] + skip, min(left, 4u));
}

fn la_load_weights(at: La_Place) -> vec4f {
    var w = vec4f();
    if at.lanes > 0u { w.x = la_weights[at.weights]; }
    if at.lanes > 1u { w.y = la_weights[at.weights + 1u]; }
    if at.lanes > 2u { w.z = la_weights[at.weights + 2u]; }
    if at.lanes > 3u { w.w = la_weights[at.weights + 3u]; }
    return w;
}

fn la_store_weights(at: La_Place, w: vec4f) {
    if at.lanes > 0u { la_weights[at.weights] = w.x; }
    if at.lanes > 1u { la_weights[at.weights + 1u] = w.y; }
    if at.lanes > 2u { la_weights[at.weights + 2u] = w.z; }
    if at.lanes > 3u { la_weights[at.weights + 3u] = w.w; }
}

fn la_load_gradient(at: La_Place) -> vec4f {
    var g = vec4f();
    if at.lanes > 0u { g.x = la_gradient_value(at.gradients); }
    if at.lanes > 1u { g.y = la_gradient_value(at.gradients + 1u); }
    if at.lanes > 2u { g.z = la_gradient_value(at.gradients + 2u); }
    if at.lanes > 3u { g.w = la_gradient_value(at.gradients + 3u); }
    return g;
}
