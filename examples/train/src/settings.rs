//! How to train: what the command line chooses.

use crate::options::Options;
use crate::rule::RuleName;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};

/// What a sync does to the inner optimizer's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyName {
    /// It stays as it is.
    Maintain,
    /// It is interpolated as the weights are.
    Interpolate,
    /// It starts again.
    Reset,
}

/// How to train.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// The inner optimizer.
    pub rule: RuleName,
    /// Its learning rate.
    pub learning_rate: f64,
    /// k, alpha and policy of Lookahead around it, or `None` for the rule alone.
    pub lookahead: Option<(u32, f64, PolicyName)>,
    /// What else the optimizer does.
    #[serde(flatten)]
    pub options: Options,
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Passes over the training images.
    pub epochs: u32,
    /// Images of a batch: of a step, or of one of its micro-batches.
    pub batch: u32,
    /// Chooses the first weights and the order of the images.
    pub seed: u64,
    /// How often an epoch stops for a test.
    pub tests_each_epoch: u32,
}

impl Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self, f)
    }
}

/// The name that the command line knows.
pub fn write_name(value: &impl ValueEnum, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
