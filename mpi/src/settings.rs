//! What workers exchange, how often and how.

use crate::{timetable::Timetable, wire::Wire};

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
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub mode: Mode,
    pub wire: Wire,
    pub packing: Packing,
    pub verify: bool,
    /// The groups of each fragment. One of all groups where the model is exchanged as a whole.
    pub fragments: Vec<Vec<String>>,
    /// When each is exchanged.
    pub timetable: Timetable,
    /// What fast weights keep of their own at a merge.
    pub mixing: f64,
}

impl Settings {
    /// Whether fast weights keep something of their own at a merge.
    pub fn mixes(&self) -> bool {
        self.timetable.overlap > 0 && self.mixing > 0.0
    }
}

/// Where values are packed. The bits of what is sent are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// By this crate's code on the CPU, from values that were read back in f32.
    Host,
    /// By a kernel, so that packed bytes alone are read back. Where that is not possible (slow weights in bf16, borrowed
    /// buffers, tensors larger than one binding) on the host all the same.
    #[default]
    Device,
}

/// **Streamed fragments**: parts of the model are exchanged one after the other, and steps go on while they are under way
/// (streaming DiLoCo, [Douillard et al., 2025](https://arxiv.org/abs/2501.18512)).
///
/// A fragment is some of the optimizer's groups. In a period of H steps each of P fragments has its turn, fragment p after
/// `(p + 1) H / P` of them (rounded down). It is sent as it is then, theta_i. For `overlap` more steps all workers go on
/// with it; then the mean of theta_i, which has come by now, and the outer step give new slow weights, and the fast weights,
/// theta'_i by now, become
///
/// ```text
/// phi <- outer step of phi - mean of theta_i;   theta_i <- (1 - mixing) phi + mixing theta'_i
/// ```
///
/// With a [guard](lookahead_wgpu::guard) every turn waits for the device, which alone knows what steps were taken.
///
/// So the network is used all the time instead of once in H steps, for a P-th at a time, and nobody waits for it as long
/// as an exchange takes less than `overlap` steps. With an overlap of 0 every fragment is exchanged between two steps; with
/// one fragment besides, all is as without streaming.
///
/// The exchange is made by a thread of its own, for which MPI must have been begun by
/// `mpi::initialize_with_threading(mpi::Threading::Multiple)`; an overlap of 0 needs neither.
#[derive(Debug, Clone, PartialEq)]
pub struct Streaming {
    pub(crate) overlap: u32,
    pub(crate) mixing: f64,
    pub(crate) fragments: Option<Vec<Vec<String>>>,
}

impl Streaming {
    /// Overlapped with so many steps, fewer than H / P. Each group of the optimizer is a fragment, in their order, and
    /// the mixing factor is 1/2, as the paper has it.
    pub fn new(overlap: u32) -> Self {
        Self { overlap, mixing: 0.5, fragments: None }
    }

    /// With this mixing factor, below 1. With 0 the steps are given up that were taken while a fragment was under way.
    pub fn mixing(self, mixing: f64) -> Self {
        Self { mixing, ..self }
    }

    /// With these fragments, each by its groups' names, in the order of their turns.
    pub fn fragments<S: Into<String>>(
        self,
        fragments: impl IntoIterator<Item = impl IntoIterator<Item = S>>,
    ) -> Self {
        let named = fragments.into_iter().map(|groups| groups.into_iter().map(Into::into).collect());
        Self { fragments: Some(named.collect()), ..self }
    }
}
