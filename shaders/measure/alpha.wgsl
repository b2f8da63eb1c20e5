// g'd and d'Ad, d = theta - phi, for the adaptive slow step size.
fn la_measures() -> bool {
    return la_does(LA_SYNC);
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let place = la_locate(i);
    let w = la_load_weights(place);
    let g = control.gain * la_raw_gradient(i, place) + control.l2 * w;
    let d = select(vec4f(), w - la_load_slow(i), inside);
    return vec2f(dot(select(vec4f(), g, inside), d), dot(d, select(vec4f(), la_curvature(i), inside) * d));
}
