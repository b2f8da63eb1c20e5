// One factor for the whole model.
fn clip(i: u32, g: vec4f) -> vec4f {
    return factors[window.clip] * g;
}
