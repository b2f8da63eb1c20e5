// What the rule is given: the tensor's clipping and scale in it.
fn normalise(i: u32, g: vec4f) -> vec4f {
    return factors[window.scale + tensor_of(i)] * over_root(i, g);
}
