// What the rule is given: the tensor's clipping and scale in it.
fn la_normalise(i: u32, g: vec4f) -> vec4f {
    return la_factors[la_window.scale + la_tensor_of(i)] * la_over_root(i, g);
}
