// As torch.nn.utils.clip_grad_value_. coefficients: the bound.
fn la_clip_by_value(g: vec4f, coefficients: vec4f) -> vec4f {
    return la_clamp(g, vec4f(-coefficients.x), vec4f(coefficients.x));
}
