//! The whole training state on the host: to survive a lost device, or to move to another one.

mod data;
mod exchange;
mod fit;
mod options;

pub use data::{CycleSnapshot, GroupSnapshot, Snapshot, TensorSnapshot};
pub use options::{ImportOptions, Weights};
