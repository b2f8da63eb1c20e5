//! What plays plans: it makes a program's objects on a device, and plays recordings there. One is on wgpu, one on a
//! `GPUDevice` of JavaScript's; the optimizer is the same over both.

pub(crate) mod ahead;
mod buffer;
mod interface;
pub(crate) mod slice;
pub(crate) mod transfer;

pub use buffer::{Buffer, Usage};
pub use interface::Engine;
