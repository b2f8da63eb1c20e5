//! The compute kernels: their WGSL, composed from the whole shaders in `shaders/`.
//!
//! A step kernel is one rule's `update` between an access (where weights and gradients lie), the transformations
//! of the gradient before it, and what becomes of the weights after it: `shaders/step.wgsl`, with what it imports. The
//! rule's text comes first, so that line numbers in a compiler's message are the rule's own.

mod author;
mod bindings;
mod check;
mod compose;
mod spec;
mod template;
mod text;
mod transforms;
#[cfg(feature = "validate")]
mod validate;

pub(crate) use bindings::{Binding, GRADIENTS_OF_PAIRS, WEIGHTS_OF_PAIRS};
pub use check::{NAMES, check, check_outer, check_transform};
pub(crate) use check::{
    check_coefficients, check_collisions, check_hyper, check_links, check_transform_coefficients,
};
pub(crate) use compose::solve;
pub use compose::{all, decide, finish, moments, sync_moments};
pub use spec::{Access, Cycles, Decision, Measure, Recipe, Source, Tensors, Width};
pub use text::BUILTINS;
