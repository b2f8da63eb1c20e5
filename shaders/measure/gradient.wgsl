// The squares of the gradient, and whether a value of it is not finite.
fn measures() -> bool {
    return true;
}

fn measured(i: u32, inside: vec4<bool>) -> vec2f {
    let g = select(vec4f(), control.gain * centralise(i, raw_gradient(i, locate(i))), inside);
    let exponents = bitcast<vec4u>(g) & vec4u(0x7f800000u);
    return vec2f(dot(g, g), select(0.0, 1.0, any(exponents == vec4u(0x7f800000u))));
}
