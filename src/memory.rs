//! The memory report: bytes on the device, exactly, by what they are for.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{layout::VALUE, optimizer::Optimizer, readback::Field};

/// Bytes of what comes and goes: chunks of the control ring, tables of borrowed gradients, buffers of transfers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<AtomicU64>);

impl Tally {
    /// Counts these bytes until what is given back is dropped.
    pub fn hold(&self, bytes: u64) -> Held {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Held { tally: self.clone(), bytes }
    }

    /// All that are counted now.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes that a [`Tally`] counts.
#[derive(Debug)]
pub(crate) struct Held {
    tally: Tally,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tally.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes of the buffers that an optimizer made and that are alive, by what they are for. Tensors start at multiples of
/// 512 bytes: what that leaves free is counted with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// The weights; 0 where they are borrowed.
    pub weights: u64,
    /// The gradients; 0 where they are borrowed.
    pub gradients: u64,
    /// The rule's state.
    pub state: u64,
    /// Lookahead's slow weights: all that it adds with the policies maintain and reset.
    pub slow_weights: u64,
    /// The slow copy of the state, where the policy is to interpolate.
    pub slow_state: u64,
    /// The outer step's buffers.
    pub outer: u64,
    /// The empirical Fisher or the given curvature of an adaptive alpha.
    pub curvature: u64,
    /// The average.
    pub average: u64,
    /// The sum of micro-batches' gradients.
    pub accumulated: u64,
    /// The half-width copy of the weights.
    pub half_weights: u64,
    /// The control ring, the guard's tables, and what reductions need: not a multiple of the parameters, but for
    /// one value for each weight whose second moment the driver keeps whole (AdaFactor, small dimensions).
    ///
    /// The ring grows by 512 bytes for each step and group (twice that where alpha is adaptive) that is recorded in
    /// an encoder, in chunks of 256 such slots or more, and is given back when the device has done the encoder's
    /// steps, or the encoder is dropped: at rest it has at most three chunks. Each [`Gradients`](crate::Gradients)
    /// has its tables here until it is dropped and its last step is done; downloads and exports have what is under
    /// way, and imports what the device has not copied yet.
    pub controls: u64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights
            + self.gradients
            + self.state
            + self.slow_weights
            + self.slow_state
            + self.outer
            + self.curvature
            + self.average
            + self.accumulated
            + self.half_weights
            + self.controls
    }
}

impl std::fmt::Display for Memory {
    /// A table of what is not zero.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = [
            ("weights", self.weights),
            ("gradients", self.gradients),
            ("state", self.state),
            ("slow weights", self.slow_weights),
            ("slow state", self.slow_state),
            ("outer step", self.outer),
            ("curvature", self.curvature),
            ("average", self.average),
            ("accumulated", self.accumulated),
            ("half weights", self.half_weights),
            ("controls", self.controls),
        ];
        for (name, bytes) in rows.into_iter().filter(|(_, bytes)| *bytes > 0) {
            writeln!(f, "{name:12} {bytes:15} bytes")?;
        }
        write!(f, "{:12} {:15} bytes", "total", self.total())
    }
}

impl Optimizer {
    /// What the optimizer's buffers take on the device now.
    pub fn memory(&self) -> Memory {
        let sum = |buffers: &[wgpu::Buffer]| buffers.iter().map(wgpu::Buffer::size).sum();
        let mut memory = Memory {
            weights: sum(&self.weights),
            gradients: sum(&self.gradients),
            slow_weights: sum(&self.slow),
            half_weights: sum(&self.half_weights),
            controls: self.tally.bytes()
                + self.reductions.bytes()
                + self.guard.as_ref().map_or(0, |guard| guard.bytes()),
            ..Memory::default()
        };
        for window in &self.layout.windows {
            for field in self.planes[window.group].fields() {
                let bytes = VALUE * window.len;
                match field {
                    Field::State(_) => memory.state += bytes,
                    Field::SlowState(_) => memory.slow_state += bytes,
                    Field::Outer(_) => memory.outer += bytes,
                    Field::Fisher | Field::Curvature => memory.curvature += bytes,
                    Field::Average => memory.average += bytes,
                    Field::Accumulated => memory.accumulated += bytes,
                    Field::Weights | Field::Gradients | Field::SlowWeights => {}
                }
            }
        }
        if let Some(moments) = &self.reductions.moments {
            let state = moments.state_bytes();
            memory.state += state;
            memory.controls -= state;
            if moments.plan.has_slow {
                memory.slow_state += state;
                memory.controls -= state;
            }
        }
        memory
    }
}
