//! The **Lookahead optimizer** ([Zhang, Lucas, Hinton, Ba, 2019](https://arxiv.org/abs/1907.08610): *k steps forward, 1
//! step back*) for [Burn](https://burn.dev).
//!
//! ```text
//! phi <- phi + alpha (theta - phi);   theta <- phi        at every k-th step of the inner optimizer
//! ```
//!
//! [`Lookahead`] goes around any of Burn's optimizers, in Burn's tensor operations: on every backend, in one changed line.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod error;
mod lookahead;

pub use error::Error;
pub use lookahead::{
    Lookahead,
    evaluate::{slow, sync},
    state::LookaheadState,
};
pub use lookahead_wgpu::StatePolicy;
