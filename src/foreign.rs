//! A device of another language's: an engine that tells it in numbers and texts what to make and what to run.
//!
//! [`Device`] is all that the other side has to be. The JavaScript package has one over a page's `GPUDevice`.

mod buffer;
mod device;
mod engine;
mod ring;

pub use buffer::{Buffer, Slice};
pub use device::{Device, KernelText, Problem, Promise, Recorder, bind, binding};
pub use engine::Foreign;
pub(crate) use engine::shader;
