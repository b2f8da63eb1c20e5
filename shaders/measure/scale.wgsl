// The squares of the weights and of the gradient over the root of its second moment.
fn la_measures() -> bool {
    return la_does(LA_UPDATE);
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let place = la_locate(i);
    let w = la_load_weights(place);
    let a = select(vec4f(), w, inside);
    let b = select(vec4f(), la_over_root(i, la_gradient(i, place) + control.l2 * w), inside);
    return mat2x4f(la_squares_of(a), la_squares_of(b));
}
