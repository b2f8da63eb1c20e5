//! The memory report: bytes on the device, exactly, by what they are for.

use super::{
    program::{Buffer, Purpose},
    whole::Plan,
};
use crate::layout::{field::Field, params::SLOT};

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
    /// The iterates of Anderson acceleration.
    pub iterates: u64,
    /// The average.
    pub average: u64,
    /// The sum of micro-batches' gradients.
    pub accumulated: u64,
    /// The mean of the weights of a round's tasks.
    pub task_mean: u64,
    /// The gradients at the slow weights, of the mini-batch and of the whole objective, for variance reduction.
    pub variance_reduction: u64,
    /// The half-width copy of the weights.
    pub half_weights: u64,
    /// The control ring, the guard's tables, and what reductions need: not a multiple of the parameters, but for
    /// one value for each weight whose second moment the driver keeps whole (AdaFactor, small dimensions).
    ///
    /// The ring has a slot of 512 bytes for each group of each step that is recorded (two at a sync with an adaptive
    /// alpha or Anderson acceleration), in chunks of 256 slots or more. It grows with the steps that wait in encoders, and shrinks to at most
    /// three chunks when the device has done them or their encoders are dropped. Each [`Gradients`](crate::Gradients)
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
            + self.iterates
            + self.average
            + self.accumulated
            + self.task_mean
            + self.variance_reduction
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
            ("iterates", self.iterates),
            ("average", self.average),
            ("accumulated", self.accumulated),
            ("task mean", self.task_mean),
            ("reduction", self.variance_reduction),
            ("half weights", self.half_weights),
            ("controls", self.controls),
        ];
        for (name, bytes) in rows.into_iter().filter(|(_, bytes)| *bytes > 0) {
            writeln!(f, "{name:12} {bytes:15} bytes")?;
        }
        write!(f, "{:12} {:15} bytes", "total", self.total())
    }
}

impl Plan {
    /// What the optimizer's buffers would take on the device once it is built: borrowed tensors' tables aside, which
    /// lie by where their buffers are.
    pub fn memory(&self) -> Memory {
        let ring = u64::from(self.program.slots) * SLOT as u64;
        let tables = if self.is_borrowed { 0 } else { self.own_placement().bytes() };
        self.memory_with(ring + tables)
    }

    /// What the program's buffers take, and so many bytes of what comes and goes.
    pub(crate) fn memory_with(&self, coming_and_going: u64) -> Memory {
        let mut memory = Memory { controls: coming_and_going, ..Memory::default() };
        for buffer in self.program.buffers.iter() {
            match buffer.purpose {
                Purpose::Weights => memory.weights += buffer.size,
                Purpose::Gradients => memory.gradients += buffer.size,
                Purpose::SlowWeights => memory.slow_weights += buffer.size,
                Purpose::HalfWeights => memory.half_weights += buffer.size,
                Purpose::Planes { group } => self.add_planes(group, buffer, &mut memory),
                Purpose::Factors => self.add_factors(buffer, &mut memory),
                Purpose::Controls => memory.controls += buffer.size,
            }
        }
        memory
    }

    /// The planes of a window, which are of one size.
    fn add_planes(&self, group: usize, buffer: &Buffer, memory: &mut Memory) {
        let fields = self.state.groups[group].planes.fields();
        let bytes = buffer.size / fields.len().max(1) as u64;
        for field in fields {
            match field {
                Field::State(_) => memory.state += bytes,
                Field::SlowState(_) => memory.slow_state += bytes,
                Field::Outer(_) => memory.outer += bytes,
                Field::Fisher | Field::Curvature => memory.curvature += bytes,
                Field::Iterate(_) => memory.iterates += bytes,
                Field::Average => memory.average += bytes,
                Field::Accumulated => memory.accumulated += bytes,
                Field::TaskMean => memory.task_mean += bytes,
                Field::SnapshotGradients | Field::FullGradients => memory.variance_reduction += bytes,
                Field::Weights | Field::Gradients | Field::SlowWeights | Field::HalfWeights => {}
            }
        }
    }

    /// The factors, with the second moments behind them.
    fn add_factors(&self, buffer: &Buffer, memory: &mut Memory) {
        let moments = self.reductions.moments.as_ref();
        let state = moments.map_or(0, |moments| moments.state_bytes());
        let slow = if moments.is_some_and(|moments| moments.factoring.has_slow) { state } else { 0 };
        memory.state += state;
        memory.slow_state += slow;
        memory.controls += buffer.size - state - slow;
    }
}
