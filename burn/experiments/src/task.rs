//! What is trained: data, a model, a loss and a score.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::data::DataError;
use crate::run::record::Scores;

/// Which data a model is evaluated on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What settings are chosen by, and curves are drawn of.
    Valid,
    /// What is held out to the end.
    Test,
}

/// A task. What is random in it depends on the run's seed and the step's number alone, so that a run that goes on from a
/// checkpoint goes on bit for bit.
pub trait Task {
    /// What is trained.
    type Model: Module;

    /// Inner steps of an epoch.
    fn epoch_steps(&self) -> u64;

    /// A model of new weights, by the device's random numbers.
    fn model(&self, device: &Device) -> Self::Model;

    /// The loss of a step's batch. Steps are counted from 0 over all epochs, and come one after the other. The device's
    /// random numbers begin anew before each.
    ///
    /// # Errors
    ///
    /// Data that are read as they are needed, and cannot be.
    fn loss(&mut self, model: &Self::Model, step: u64) -> Result<Tensor<1>, DataError>;

    /// Scores of a model that is not trained ([`Module::valid`]).
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    fn evaluate(&self, model: &Self::Model, part: Part) -> Result<Scores, DataError>;

    /// What is carried from one step to the next, beside the model.
    fn memory(&self) -> Vec<TensorData> {
        vec![]
    }

    /// Takes back what [`memory`](Self::memory) gave.
    fn recall(&mut self, _memory: Vec<TensorData>, _device: &Device) {}
}
