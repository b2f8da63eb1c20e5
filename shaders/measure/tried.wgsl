// Whether what the rule would store is not finite; nothing is stored.
fn la_measures() -> bool {
    return la_does(LA_UPDATE);
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let place = la_locate(i);
    let before = la_load_weights(place);
    la_load_state(i);
    la_load_trust(i);
    let g = la_gradient(i, place) + control.l2 * before;
    let after = update(before - control.shrink * before, la_normalise(i, g));
    let wrong = inside & (la_is_not_finite(after) | la_state_is_not_finite());
    return vec2f(select(0.0, 1.0, any(wrong)), 0.0);
}
