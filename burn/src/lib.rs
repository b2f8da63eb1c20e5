//! The **Lookahead optimizer** ([Zhang, Lucas, Hinton, Ba, 2019](https://arxiv.org/abs/1907.08610): *k steps forward, 1
//! step back*) for [Burn](https://burn.dev).
//!
//! ```text
//! phi <- phi + alpha (theta - phi);   theta <- phi        at every k-th step of the inner optimizer
//! ```
//!
//! - [`Lookahead`] goes around any of Burn's optimizers, in Burn's tensor operations: on every backend, in one changed line.
//! - [`ModuleLookahead`] steps a whole module on Burn's wgpu with the kernels of [`lookahead_wgpu`], in Burn's own memory:
//!   every rule and option of that crate, clipping over all tensors, a guard against gradients that are not finite.
//!
//! # Features
//!
//! - `wgpu` (on by default): [`ModuleLookahead`]. A browser's page cannot wait, and has its `async` calls alone.
//! - `fusion` (on by default): to be given where Burn has it.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod error;
mod lookahead;
#[cfg(feature = "wgpu")]
mod module;

pub use error::Error;
pub use lookahead::{
    Lookahead,
    evaluate::{slow, sync},
    state::LookaheadState,
};
pub use lookahead_wgpu::{self, StatePolicy};
#[cfg(feature = "wgpu")]
pub use module::ModuleLookahead;

/// The README's examples are compiled and run with the documentation's.
#[cfg(all(doctest, feature = "wgpu"))]
#[doc = include_str!("../README.md")]
struct Readme;
