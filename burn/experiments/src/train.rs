//! Training: steps, evaluation, checkpoints.

mod checkpoint;
mod error;
mod host;
mod parameters;
mod probe;
pub mod report;
mod session;
mod stepper;

pub use error::TrainError;
pub use session::{Settings, train};
pub use stepper::{Place, Stepper};
