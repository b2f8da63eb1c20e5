fn load_trust(i: u32) {}
