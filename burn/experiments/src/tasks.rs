//! What the experiments train.

pub mod images;
pub mod language;
pub mod order;
pub mod pictures;
pub mod translation;
