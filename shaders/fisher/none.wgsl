fn observe(i: u32, g: vec4f) {}
