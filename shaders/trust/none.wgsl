fn la_load_trust(i: u32) {}
