fn la_load_outer(i: u32) {}

fn la_store_outer(i: u32) {}
