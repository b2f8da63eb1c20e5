// The squares of the weights and of the gradient over the root of its second moment.
fn measures() -> bool {
    return does(UPDATE);
}

fn measured(i: u32, inside: vec4<bool>) -> vec2f {
    let place = locate(i);
    let w = load_weights(place);
    let a = select(vec4f(), w, inside);
    let b = select(vec4f(), over_root(i, gradient(i, place) + control.l2 * w), inside);
    return vec2f(dot(a, a), dot(b, b));
}
