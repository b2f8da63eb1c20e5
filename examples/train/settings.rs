//! How to train: what the command line chooses.

use clap::ValueEnum;
use std::fmt::{self, Display};

/// An inner optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RuleName {
    /// Stochastic gradient descent.
    Sgd,
    /// SGD with momentum 0.9 (Polyak's heavy ball).
    HeavyBall,
    /// SGD with Nesterov momentum 0.9.
    Nesterov,
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay 0.01.
    Adamw,
}

/// What a sync does to the inner optimizer's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyName {
    /// It stays as it is.
    Maintain,
    /// It is interpolated as the weights are.
    Interpolate,
    /// It starts again.
    Reset,
}

/// How to train.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The inner optimizer.
    pub rule: RuleName,
    /// Its learning rate.
    pub learning_rate: f64,
    /// k, alpha and policy of Lookahead around it, or `None` for the rule alone.
    pub lookahead: Option<(u32, f64, PolicyName)>,
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Passes over the training images.
    pub epochs: u32,
    /// Images of a step.
    pub batch: u32,
    /// Chooses the first weights and the order of the images.
    pub seed: u64,
    /// How often an epoch stops for a test.
    pub tests_each_epoch: u32,
}

impl RuleName {
    /// The learning rate that a run gets where none is given.
    pub fn default_learning_rate(self) -> f64 {
        match self {
            Self::Sgd => 0.5,
            Self::HeavyBall | Self::Nesterov => 0.1,
            Self::Adam | Self::Adamw => 0.003,
        }
    }
}

impl Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self, f)
    }
}

impl Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self, f)
    }
}

/// The name that the command line knows.
fn write_name(value: &impl ValueEnum, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    value.to_possible_value().map_or(Ok(()), |name| f.write_str(name.get_name()))
}

impl Settings {
    /// The optimizer's name, as in `lookahead(adam)`.
    pub fn name(&self) -> String {
        match self.lookahead {
            Some(_) => format!("lookahead({})", self.rule),
            None => self.rule.to_string(),
        }
    }
}
