// The squares of the gradient, and whether a value of it is not finite.
fn la_measures() -> bool {
    return true;
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let g = control.gain * la_centralise(i, la_raw_gradient(i, la_locate(i)));
    return la_squares_of(select(vec4f(), g, inside));
}
