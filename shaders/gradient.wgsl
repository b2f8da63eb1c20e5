// The gradient that the rule is given, but for its weight decay.
fn la_gradient(i: u32, place: La_Place) -> vec4f {
    return la_clip(i, control.gain * la_centralise(i, la_raw_gradient(i, place)));
}
