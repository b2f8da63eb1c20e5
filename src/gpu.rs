//! The device: one to begin with, and the engine that makes a plan's program and plays its recordings.

mod ahead;
mod device;
pub(crate) mod engine;
mod faults;
mod limits;
#[cfg(not(target_arch = "wasm32"))]
mod native;
mod pipelines;
mod ring;
mod scope;
mod shape;
mod side_by_side;
pub(crate) mod slice;
mod tally;
pub(crate) mod transfer;
mod waiting;
#[cfg(target_arch = "wasm32")]
mod web;

pub use device::Gpu;
pub use pipelines::Pipelines;
#[cfg(target_arch = "wasm32")]
pub use web::NeededLimit;
