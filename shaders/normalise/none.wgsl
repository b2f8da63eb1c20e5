fn la_normalise(i: u32, g: vec4f) -> vec4f {
    return g;
}
