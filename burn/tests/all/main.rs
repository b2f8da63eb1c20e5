//! On Burn's CPU backend, and on its wgpu backend with the adapter that it chooses.

mod devices;
mod evaluate;
mod golden;
mod groups;
mod learner;
mod missing;
#[cfg(feature = "wgpu")]
mod models;
#[cfg(feature = "wgpu")]
mod module;
mod network;
mod records;
mod settings;
mod slots;
#[cfg(feature = "wgpu")]
mod slow;
#[cfg(feature = "wgpu")]
mod training;
