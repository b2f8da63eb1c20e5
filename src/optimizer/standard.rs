//! The engine of optimizers that name none.

/// The engine where none is named.
#[cfg(feature = "wgpu")]
pub type Standard = crate::gpu::Wgpu;
/// The engine where none is named.
#[cfg(not(feature = "wgpu"))]
pub type Standard = crate::javascript::JavaScript;
