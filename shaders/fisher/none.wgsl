fn observe(i: u32, g: vec4f) {}

fn forget(i: u32) {}
