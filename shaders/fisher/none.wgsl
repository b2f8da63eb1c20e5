fn la_observe(i: u32, g: vec4f) {}

fn la_forget(i: u32) {}
