// The squares of the weights and of the rule's direction.
fn measures() -> bool {
    return does(UPDATE);
}

fn measured(i: u32, inside: vec4<bool>) -> vec2f {
    let place = locate(i);
    let w = load_weights(place);
    load_state(i);
    let direction = measure(w, gradient(i, place) + control.l2 * w);
    if MEASURE_STORES {
        store_state(i);
    }
    let a = select(vec4f(), w, inside);
    let b = select(vec4f(), direction, inside);
    return vec2f(dot(a, a), dot(b, b));
}
