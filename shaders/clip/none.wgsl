fn la_clip(i: u32, g: vec4f) -> vec4f {
    return g;
}
