//! The experiments of the Lookahead paper.
fn main() {}
