//! Runs: what is trained how, and what came of it.

pub mod method;
pub mod record;
