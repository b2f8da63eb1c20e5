fn la_centralise(i: u32, g: vec4f) -> vec4f {
    return g;
}
