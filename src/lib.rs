#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod access;
mod builder;
mod clip;
mod controls;
mod error;
pub mod gpu;
mod group;
pub mod kernels;
mod layout;
mod limits;
mod lookahead;
mod norm;
mod optimizer;
mod readback;
pub mod rules;
mod schedule;
mod settings;
mod snapshot;
mod tensors;
pub mod twin;

pub use access::Slice;
pub use builder::Builder;
pub use clip::Clip;
pub use error::{Error, check_hyperparameter};
pub use group::{DEFAULT_GROUP, Group};
pub use lookahead::{Lookahead, StatePolicy};
pub use optimizer::{Gradients, Optimizer};
pub use readback::Field;
pub use rules::Rule;
pub use schedule::Schedule;
pub use settings::Traffic;
pub use snapshot::{GroupSnapshot, Snapshot, TensorSnapshot};
pub use wgpu;
