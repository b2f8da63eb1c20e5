//! The device: one to begin with, and the engine that makes a plan's program and plays its recordings.

mod device;
mod download;
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
mod slice;
mod tally;
mod waiting;
#[cfg(target_arch = "wasm32")]
mod web;

pub use device::Gpu;
pub use engine::Wgpu;
pub use pipelines::Pipelines;
pub use slice::Slice;
#[cfg(target_arch = "wasm32")]
pub use web::NeededLimit;
