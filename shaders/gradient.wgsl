// The gradient that the rule is given, but for its weight decay.
fn gradient(i: u32, place: Place) -> vec4f {
    return clip(i, control.gain * centralise(i, raw_gradient(i, place)));
}
