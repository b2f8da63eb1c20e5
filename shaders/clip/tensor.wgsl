// One factor for each tensor.
fn clip(i: u32, g: vec4f) -> vec4f {
    return factors[window.clip + tensor_of(i)] * g;
}
