fn load_outer(i: u32) {}

fn store_outer(i: u32) {}
