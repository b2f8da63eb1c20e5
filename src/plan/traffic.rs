//! The bytes that one step must move, by what is done.

use super::whole::Plan;
use crate::{
    config::precision::bytes,
    kernels::Measure,
    layout::{field::Field, tensors::Tensor, units::VALUE},
};

/// The bytes that one step must move through the device's memory: each input read once, each output
/// written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// In every step.
    pub step: u64,
    /// In a step that ends the cycle, on top; with what Anderson acceleration writes in the steps before it.
    pub sync: u64,
    /// In a step that ends a task and not its round, on top, where a round has several.
    pub task: u64,
}

/// What there is of one tensor, in bytes.
struct Bytes {
    value: u64,
    /// The gradient, and those that correct it.
    gradient: u64,
    slow: u64,
    /// Read and written.
    state: u64,
    /// The driver's second moments.
    moments: Vec<u64>,
    /// Of the moments, in all.
    moment: u64,
}

impl Plan {
    /// The bytes that one step must move.
    pub fn traffic(&self) -> Traffic {
        let mut traffic = Traffic { step: 0, sync: 0, task: 0 };
        for (index, tensor) in self.layout.tensors.iter().enumerate() {
            let bytes = self.bytes_of(index, tensor);
            let average = self.state.groups[tensor.group].planes.average;
            if self.state.groups[tensor.group].frozen {
                // An average goes on: both are read, and written.
                traffic.step += 4 * bytes.value * u64::from(average);
            } else {
                traffic.step += self.step_bytes(tensor, &bytes);
                traffic.sync += self.sync_bytes(tensor, &bytes);
                // The slow weights are read, and the mean is read and written.
                let has_tasks = self.state.groups[tensor.group].planes.task_mean;
                traffic.task += u64::from(has_tasks) * (bytes.slow + 2 * bytes.value);
            }
        }
        traffic
    }

    fn bytes_of(&self, index: usize, tensor: &Tensor) -> Bytes {
        let planes = &self.state.groups[tensor.group].planes;
        let state = self.moment_fields(index).filter(|field| matches!(field, Field::State(_)));
        let moments: Vec<u64> = state.map(|field| VALUE * self.field_len(field, index)).collect();
        let value = bytes(tensor.len, None);
        Bytes {
            value,
            gradient: bytes(tensor.len, self.options.half_gradients) + 2 * value * u64::from(planes.reduced),
            slow: bytes(tensor.len, self.options.slow_half()),
            state: 2 * value * planes.slots.len() as u64,
            moment: moments.iter().sum(),
            moments,
        }
    }

    /// How often a reduction is taken of a group: once or not at all.
    fn takes(&self, group: usize, measure: Measure) -> u64 {
        u64::from(self.recipe(group).is_some_and(|recipe| recipe.measures().contains(&measure)))
    }

    fn step_bytes(&self, tensor: &Tensor, of: &Bytes) -> u64 {
        let group = &self.state.groups[tensor.group];
        let planes = &group.planes;
        let has = |measure| self.takes(tensor.group, measure);
        // The last micro-batch reads the sum of the others, which each read and wrote it.
        let accumulated = u64::from(planes.accumulated) * of.value;
        let others = u64::from(self.options.micro_batches() - 1);
        let total = of.gradient + accumulated;
        let stored = u64::from(group.rule.trust().is_some_and(|trust| trust.measure_stores));
        let copy = self.options.half_weights.map_or(0, |half| bytes(tensor.len, Some(half)));
        2 * of.value
            + total
            + of.state
            + of.slow * u64::from(group.rule.anchored())
            + others * (of.gradient + 2 * accumulated)
            + (has(Measure::Norm) + has(Measure::Rows)) * total
            + has(Measure::Trust) * (of.value + total + (of.state / 2) * (1 + stored))
            // The sums of the gradient's squares over each dimension, their moments read and written, and
            // read again with weights and gradient.
            + of.moments.len() as u64 * total
            + 2 * of.moment
            + has(Measure::Tried) * (of.value + total + of.state / 2)
            + has(Measure::Scale) * (of.value + total + of.moment)
            + 2 * of.value * (u64::from(planes.fisher) + u64::from(planes.average))
            + copy
    }

    fn sync_bytes(&self, tensor: &Tensor, of: &Bytes) -> u64 {
        let group = &self.state.groups[tensor.group];
        let Some(lookahead) = group.lookahead else { return 0 };
        let state = if lookahead.policy.keeps_slow_state() { of.state + 4 * of.moment } else { 0 };
        // Weights, slow weights, gradient and curvature are read, then the sync reads and writes the weights.
        let alpha = of.value + of.slow + of.gradient + of.value + 2 * of.value;
        // Each iterate is written once in a cycle. Then all and the weights are read twice, and the weights written once
        // more.
        let columns = u64::from(self.options.columns());
        let residuals = of.value * (columns + 2 * (columns + 1) + 1);
        // The step of a rule that is anchored has read the slow weights already.
        (2 - u64::from(group.rule.anchored())) * of.slow
            + state
            + of.value * u64::from(group.planes.task_mean)
            + 2 * of.value * group.planes.outer.len() as u64
            + self.takes(tensor.group, Measure::Alpha) * alpha
            + self.takes(tensor.group, Measure::Residuals) * residuals
    }
}
