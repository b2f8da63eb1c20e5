#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
#![forbid(unsafe_code)]
// Files and blocking calls are not there in a browser; their links are checked natively.
#![cfg_attr(target_arch = "wasm32", allow(rustdoc::broken_intra_doc_links))]

mod access;
mod accumulate;
pub mod alpha;
pub mod analysis;
pub mod average;
mod builder;
pub mod checkpoint;
mod clip;
mod controls;
mod counters;
mod error;
pub mod gpu;
mod group;
pub mod guard;
pub mod kernels;
mod layout;
mod limits;
mod lookahead;
mod memory;
mod moments;
mod optimizer;
mod options;
pub mod outer;
mod pipelines;
mod planes;
pub mod precision;
mod readback;
mod reduction;
pub mod rules;
mod schedule;
mod settings;
mod snapshot;
mod tensors;
pub mod twin;

pub use access::Slice;
pub use accumulate::Accumulation;
pub use alpha::AdaptiveAlpha;
pub use average::Average;
pub use builder::Builder;
pub use clip::Clip;
pub use counters::{Counters, GroupCounters};
pub use error::{Error, check_hyperparameter};
pub use group::{DEFAULT_GROUP, Group};
pub use guard::{Guard, LossScale};
pub use lookahead::{Lookahead, StatePolicy};
pub use memory::Memory;
pub use optimizer::{Gradients, Optimizer};
pub use options::Options;
pub use outer::Outer;
pub use precision::Half;
pub use readback::Field;
pub use rules::Rule;
pub use schedule::Schedule;
pub use settings::Traffic;
pub use snapshot::{CycleSnapshot, GroupSnapshot, ImportOptions, Snapshot, TensorSnapshot, Weights};
pub use wgpu;
