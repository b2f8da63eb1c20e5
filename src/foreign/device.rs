//! What a device of another language's has to do.

use std::fmt::Debug;

use futures::future::LocalBoxFuture;

use crate::error::Error;

/// What is under way on the other side.
pub type Promise<T> = LocalBoxFuture<'static, Result<T, Problem>>;

/// What went wrong on the other side.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// A module does not compile.
    Shader {
        /// The kernel's number.
        kernel: u32,
        /// The line of the module, from 1; 0 where it is not known.
        line: u32,
        /// What the compiler said.
        message: String,
    },
    /// There is no memory left.
    OutOfMemory(String),
    /// The device was lost.
    Lost(String),
    /// Something else.
    Refused(String),
}

impl Problem {
    /// As an error of what was being done.
    pub fn during(self, doing: &str) -> Error {
        let doing = doing.to_owned();
        match self {
            Self::OutOfMemory(message) => Error::OutOfMemory { doing, message },
            Self::Lost(message) => Error::DeviceLost { doing, message },
            Self::Refused(message) | Self::Shader { message, .. } => Error::Device { doing, message },
        }
    }
}

/// Kinds of [`Device::layout`]'s bindings.
pub mod binding {
    /// A uniform buffer.
    pub const UNIFORM: u32 = 0;
    /// A uniform buffer with a dynamic offset.
    pub const DYNAMIC_UNIFORM: u32 = 1;
    /// A storage buffer that is only read.
    pub const READ: u32 = 2;
    /// A storage buffer.
    pub const READ_WRITE: u32 = 3;
}

/// Kinds of what a dispatch binds, in the words of [`Recorder::play`].
pub mod bind {
    /// Nothing.
    pub const NOTHING: u32 = 0;
    /// A bind group.
    pub const GROUP: u32 = 1;
    /// A bind group with one dynamic offset for both of its bindings.
    pub const AT_OFFSET: u32 = 2;
}

/// A device that makes objects, known by number, and runs them. All that it makes is `STORAGE`, `UNIFORM` and so on as
/// WebGPU has them; sizes and offsets are bytes.
pub trait Device: Debug {
    /// What is recorded into.
    type Encoder: Recorder;

    /// Makes the next bind group layout, from 0 on: pairs of a binding's number and [its kind](binding).
    ///
    /// # Errors
    ///
    /// What the device says, as far as it is known at once; so are those of all calls that give no promise.
    fn layout(&self, bindings: &[u32]) -> Result<(), Problem>;

    /// Makes a buffer of zeros, and gives its number.
    ///
    /// # Errors
    ///
    /// As [`Self::layout`].
    fn buffer(&self, label: &str, size: u64, usage: u32) -> Result<u32, Problem>;

    /// Begins kernel `number`: the pipeline of a module's entry point, with a layout (or `u32::MAX`) for each group, and
    /// constants that override the module's. Made at once, or while others are made, too.
    ///
    /// # Errors
    ///
    /// As [`Self::layout`].
    fn kernel(
        &self,
        number: u32,
        text: KernelText<'_>,
        layouts: &[u32],
        constants: &[(&str, u32)],
        at_once: bool,
    ) -> Result<(), Problem>;

    /// Makes a bind group and gives its number: for each entry the binding, the buffer, its offset and size.
    ///
    /// # Errors
    ///
    /// As [`Self::layout`].
    fn group(&self, label: &str, layout: u32, entries: &[f64]) -> Result<u32, Problem>;

    /// Lets go of bind groups and buffers. What was recorded may use them yet.
    fn release(&self, groups: &[u32], buffers: &[u32]);

    /// Ends when all that was begun is made.
    fn made(&self) -> Promise<()>;

    /// Writes bytes before whatever is submitted next.
    ///
    /// # Errors
    ///
    /// As [`Self::layout`].
    fn write(&self, buffer: u32, offset: u64, bytes: &[u8]) -> Result<(), Problem>;

    /// Writes bytes to a buffer of their own, and submits copies from there: for each the buffer, its offset, the size.
    ///
    /// # Errors
    ///
    /// As [`Self::layout`].
    fn unpack(&self, bytes: &[u8], targets: &[f64]) -> Result<(), Problem>;

    /// Submits copies from these ranges, as [`Self::unpack`] has them, and gives their bytes.
    fn read(&self, ranges: &[f64]) -> Promise<Vec<u8>>;
}

/// A kernel's text.
#[derive(Debug, Clone, Copy)]
pub struct KernelText<'a> {
    /// What it is, in words.
    pub name: &'a str,
    /// The module.
    pub wgsl: &'a str,
    /// The entry point.
    pub entry: &'a str,
}

/// What is recorded into.
pub trait Recorder {
    /// It is submitted before anything else is recorded.
    fn is_own(&self) -> bool;

    /// Records that words are written to a buffer.
    ///
    /// # Errors
    ///
    /// As [`Device::layout`].
    fn words(&self, buffer: u32, offset: u64, words: &[u32]) -> Result<(), Problem>;

    /// Records clears and one pass: how many buffers are cleared, and which; for each dispatch its kernel, its workgroups
    /// in x and y, and for each of four groups [what is bound](bind), the bind group and its offset.
    ///
    /// # Errors
    ///
    /// As [`Device::layout`].
    fn play(&self, words: &[u32]) -> Result<(), Problem>;
}
