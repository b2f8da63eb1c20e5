//! What the experiments train.

pub mod translation;
