fn la_store_copy(i: u32, w: vec4f) {}
