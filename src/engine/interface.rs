//! What an engine does.

use std::fmt::Debug;

use super::{buffer::Buffer, slice::Slice};
use crate::{
    error::Error,
    plan::{
        placement::Placement,
        program::{self, Id, Program},
        recording::Recording,
    },
};

/// What plays plans. It cannot be implemented elsewhere.
pub trait Engine: Debug + Sized {
    /// Its buffers.
    type Buffer: Buffer;
    /// What it records into.
    type Encoder;
    /// The objects of one placement.
    type Placed: Debug;
    /// What those that are built one after the other may share.
    type Shared: Clone + Debug + Default;
    /// Bytes on their way to the host.
    type Reading: Future<Output = Result<Vec<u8>, Error>>;

    /// A buffer of the program's.
    #[doc(hidden)]
    fn buffer(&self, id: Id<program::Buffer>) -> &Self::Buffer;

    /// Makes a placement over the caller's buffers, with the kernels that it needs; `what` it is, for errors.
    ///
    /// # Errors
    ///
    /// [`Error::Shader`] where the device refuses a module, [`Error::Device`], [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`].
    #[doc(hidden)]
    fn place(
        &self,
        program: &Program,
        placement: &Placement,
        given: &[Self::Buffer],
        what: &'static str,
    ) -> impl Future<Output = Result<Self::Placed, Error>>;

    /// Plays a recording over a placement into the caller's encoder. `foresee` adds what up to so many steps after it will
    /// be told, as far as so many slots go.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] where the ring cannot grow; [`Error::DeviceLost`]. Nothing was recorded then but new
    /// tables for a guard, which do no harm.
    #[doc(hidden)]
    fn play(
        &mut self,
        recording: &Recording,
        placed: &Self::Placed,
        encoder: &mut Self::Encoder,
        foresee: impl FnOnce((u32, u32), &mut Vec<u8>),
    ) -> Result<(), Error>;

    /// Writes bytes over slices, one after the other, before whatever is submitted next. A borrowed buffer may be
    /// mapped or destroyed.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], [`Error::DeviceLost`]. On the web a failure is known later.
    #[doc(hidden)]
    fn write(&self, slices: &[Slice<Self::Buffer>], bytes: &[u8], doing: &str) -> Result<(), Error>;

    /// Writes bytes to a buffer of their own and copies them from there over slices.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    #[doc(hidden)]
    fn unpack(&self, bytes: &[u8], slices: &[Slice<Self::Buffer>]) -> Result<(), Error>;

    /// Copies each batch of slices side by side to where it can be read: as they are when what was submitted so far is
    /// done.
    #[doc(hidden)]
    fn copy_back(&self, batches: &[Vec<Slice<Self::Buffer>>]) -> Self::Reading;

    /// Bytes that one buffer of a transfer may have: a multiple of 4.
    #[doc(hidden)]
    fn batch_limit(&self) -> u64;

    /// Bytes of what comes and goes.
    #[doc(hidden)]
    fn held(&self) -> u64;
}
