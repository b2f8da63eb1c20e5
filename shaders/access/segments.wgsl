// Weights and gradients in somebody else's buffers.
struct Place {
    weights: u32,   // where the four values start in the bound weights
    gradients: u32, // and in the bound gradients
    lanes: u32,     // how many of the four are the tensor's; the others are padding
}

fn locate(i: u32) -> Place {
    let at = segment_of(i);
    let skip = 4u * (i - table[at]);
    let left = max(table[at + 1u], skip) - skip;
    return Place(table[at + 2u] + skip, table[at + 3u] + skip, min(left, 4u));
}

fn load_weights(at: Place) -> vec4f {
    var w = vec4f();
    if at.lanes > 0u { w.x = weights[at.weights]; }
    if at.lanes > 1u { w.y = weights[at.weights + 1u]; }
    if at.lanes > 2u { w.z = weights[at.weights + 2u]; }
    if at.lanes > 3u { w.w = weights[at.weights + 3u]; }
    return w;
}

fn store_weights(at: Place, w: vec4f) {
    if at.lanes > 0u { weights[at.weights] = w.x; }
    if at.lanes > 1u { weights[at.weights + 1u] = w.y; }
    if at.lanes > 2u { weights[at.weights + 2u] = w.z; }
    if at.lanes > 3u { weights[at.weights + 3u] = w.w; }
}

fn load_gradient(at: Place) -> vec4f {
    var g = vec4f();
    if at.lanes > 0u { g.x = gradient_value(at.gradients); }
    if at.lanes > 1u { g.y = gradient_value(at.gradients + 1u); }
    if at.lanes > 2u { g.z = gradient_value(at.gradients + 2u); }
    if at.lanes > 3u { g.w = gradient_value(at.gradients + 3u); }
    return g;
}
