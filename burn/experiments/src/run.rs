//! Runs: what is trained how, and what came of it.

pub(crate) mod finite;
pub mod method;
pub mod record;
