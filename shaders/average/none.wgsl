fn la_average(i: u32, w: vec4f) {}
