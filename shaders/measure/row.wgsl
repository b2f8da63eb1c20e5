// The sum of a row of the gradient.
fn measured(i: u32, inside: vec4<bool>) -> vec2f {
    let g = select(vec4f(), raw_gradient(i, locate(i)), inside);
    return vec2f(g.x + g.y + g.z + g.w, 0.0);
}
