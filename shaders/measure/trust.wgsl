// The squares of the weights and of the rule's direction.
fn la_measures() -> bool {
    return la_does(LA_UPDATE);
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let place = la_locate(i);
    let w = la_load_weights(place);
    la_load_state(i);
    let direction = measure(w, la_gradient(i, place) + control.l2 * w);
    if LA_MEASURE_STORES {
        la_store_state(i);
    }
    let a = select(vec4f(), w, inside);
    let b = select(vec4f(), direction, inside);
    return mat2x4f(la_squares_of(a), la_squares_of(b));
}
