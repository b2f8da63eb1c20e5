//! What a snapshot holds.

#[cfg(doc)]
use crate::optimizer::Optimizer;
use crate::{
    config::{lookahead::StatePolicy, schedule::Schedule},
    layout::field::Field,
};

/// All that training goes on from: weights, slow weights, state, counters, and everything that has a setter. A run that
/// is exported, imported into a new optimizer of the same tensors and continued is bit-equal to one that never stopped.
///
/// Tensors and groups are known by their names: their order is of no matter.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Steps taken, over all cycles.
    pub steps: u64,
    /// Steps that a guard skipped.
    pub skipped: u64,
    /// The loss scale, 1 without loss scaling.
    pub loss_scale: f32,
    /// What gradients are multiplied with: 1 / loss scale, as the GPU rounded it.
    pub loss_unscale: f32,
    /// Finite steps in a row since the loss scale changed.
    pub since_rescaled: u32,
    /// Micro-batches accumulated for the next step.
    pub accumulated: u32,
    /// Steps taken when the average was begun: 0, or those before the last [`init_synced`](Optimizer::init_synced) or
    /// [`begin_average`](Optimizer::begin_average).
    pub average_start: u64,
    /// The outer step's name.
    pub outer: String,
    /// The loss scale is a dynamic one; none where a file of an older version does not tell.
    pub loss_scaling: Option<bool>,
    /// The schedule. None where it is not known: a file does not hold a [`Schedule::custom`], nor one of an older
    /// version any. The optimizer's own then stays, and goes on from `steps`.
    pub schedule: Option<Schedule>,
    /// One for each group.
    pub groups: Vec<GroupSnapshot>,
    /// One for each tensor.
    pub tensors: Vec<TensorSnapshot>,
}

/// Where a group stands.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSnapshot {
    /// The group's name.
    pub name: String,
    /// Its rule's name.
    pub rule: String,
    /// What a sync does to the state; none for the rule alone.
    pub policy: Option<StatePolicy>,
    /// Inner steps since the state was last initialised.
    pub count: u64,
    /// Steps since the last sync, over all [tasks](crate::Lookahead::tasks) of a round.
    pub position: u32,
    /// The slow weights have been initialised.
    pub initialised: bool,
    /// The learning rate, before schedule and factor.
    pub learning_rate: f64,
    /// The factor on the learning rate.
    pub learning_rate_factor: f64,
    /// k; none for the rule alone.
    pub k: Option<u32>,
    /// alpha; none for the rule alone.
    pub alpha: Option<f64>,
    /// The [tasks](crate::Lookahead::tasks) of a round; 1 for the rule alone, and in files that do not tell.
    pub tasks: u32,
    /// Frozen; none where a file of an older version does not tell.
    pub frozen: Option<bool>,
    /// The weight decay, of the rule's kind; none where a file of an older version does not tell.
    pub weight_decay: Option<f64>,
    /// The rule's, as [`Rule::hyperparameters`](crate::Rule::hyperparameters) gives them. None in files of older
    /// versions.
    pub hyperparameters: Vec<(String, f64)>,
    /// The cycle under way, where it began with another k or alpha: with a guard they change at its end.
    pub cycle: Option<CycleSnapshot>,
}

/// What a cycle under way began with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CycleSnapshot {
    /// k.
    pub k: u32,
    /// 1 - alpha, as the GPU has it.
    pub one_minus_alpha: f32,
}

/// A tensor's values.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSnapshot {
    /// The tensor's name.
    pub name: String,
    /// Its group's name.
    pub group: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Each field that the optimizer keeps of it, by its name as [`Field`] displays it (`weights`,
    /// `state.exp_avg`), in the optimizer's order. bf16 values are given as the f32 they stand for.
    pub fields: Vec<(String, Vec<f32>)>,
}

impl TensorSnapshot {
    /// The values of a field, if it is there.
    pub fn field(&self, field: Field<'_>) -> Option<&[f32]> {
        self.values(&field.to_string())
    }

    /// The values of a field by its name.
    pub(super) fn values(&self, field: &str) -> Option<&[f32]> {
        self.fields.iter().find(|(other, _)| other == field).map(|(_, values)| values.as_slice())
    }
}
