//! The driver's public face: a plan, and the engine that plays it into the caller's encoder.

#[cfg(all(feature = "wgpu", not(target_arch = "wasm32")))]
mod autotune;
mod borrow;
pub(crate) mod builder;
mod counters;
mod groups;
#[cfg(feature = "foreign")]
mod on_foreign;
#[cfg(feature = "wgpu")]
mod on_wgpu;
mod readback;
mod settings;
mod tensors;
mod training;
mod values;

#[cfg(all(feature = "wgpu", not(target_arch = "wasm32")))]
pub use autotune::autotune;
pub use builder::Builder;
pub use counters::{Counters, GroupCounters};
pub use training::{Gradients, Optimizer};
