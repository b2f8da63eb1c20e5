//! What workers exchange, how often and how.

use crate::wire::Wire;

/// A period that no cycle reaches by itself: syncs come with the rounds alone.
pub const NEVER: u32 = u32::MAX;

/// What workers exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Each takes its own inner steps, and a round ends with the outer step on the mean of the fast weights: Local SGD,
    /// SlowMo, DiLoCo.
    #[default]
    Local,
    /// Every step is one on the mean of the gradients: plain data parallel training. The optimizer's own cycle goes on as
    /// on one machine, on all ranks alike.
    Gradients,
}

/// How they do it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub mode: Mode,
    pub wire: Wire,
    /// Steps of a round.
    pub period: u32,
    pub packing: Packing,
    pub verify: bool,
}

/// Where values are packed. The bits are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// By this crate's code on the CPU, from values that were read back in f32.
    Host,
    /// By a kernel, so that packed bytes alone are read back. Where that is not possible (slow weights in bf16, borrowed
    /// buffers, tensors larger than one binding) on the host all the same.
    #[default]
    Device,
}
