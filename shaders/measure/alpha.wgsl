// g'd and d'Ad, d = theta - phi, for the adaptive slow step size.
fn measures() -> bool {
    return does(SYNC);
}

fn measured(i: u32, inside: vec4<bool>) -> vec2f {
    let place = locate(i);
    let w = load_weights(place);
    let g = control.gain * raw_gradient(i, place) + control.l2 * w;
    let d = select(vec4f(), w - load_slow(i), inside);
    return vec2f(dot(select(vec4f(), g, inside), d), dot(d, select(vec4f(), curvature(i), inside) * d));
}
