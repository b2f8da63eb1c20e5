//! What an optimizer is and does, decided without a device: an engine makes its program and plays its recordings.

mod access;
mod build;
mod checks;
pub(crate) mod cycle;
pub(crate) mod event;
pub(crate) mod factored;
pub(crate) mod foresight;
pub(crate) mod group;
mod guard;
pub(crate) mod memory;
mod paper;
pub(crate) mod parts;
mod pass;
pub(crate) mod placement;
pub(crate) mod program;
pub(crate) mod recording;
mod reductions;
mod step;
mod traffic;
mod whole;

pub(crate) use build::{Draft, Settings, TensorSettings};
pub use memory::Memory;
pub use paper::PlannedDispatch;
pub use traffic::Traffic;
pub use whole::Plan;
pub(crate) use whole::Swapped;
