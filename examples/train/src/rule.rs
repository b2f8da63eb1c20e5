//! The inner optimizers that the command line knows. A new one is a name, its learning rate and a line each in
//! `default_learning_rate` and `rule`.

use crate::settings::write_name;
use clap::ValueEnum;
use lookahead_wgpu::Rule;
use lookahead_wgpu::rules::{
    AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lars, Lion, NAdam, RAdam, Ranger,
    RmsProp, Sgd,
};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};

const MOMENTUM: f64 = 0.9;

/// An inner optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleName {
    /// Stochastic gradient descent
    Sgd,
    /// SGD with momentum 0.9 (Polyak's heavy ball)
    #[value(alias = "momentum")]
    HeavyBall,
    /// SGD with Nesterov momentum 0.9
    Nesterov,
    /// Adam
    Adam,
    /// Adam with decoupled weight decay 0.01
    Adamw,
    /// Adam that divides by the largest second moment so far
    Amsgrad,
    /// Adagrad
    Adagrad,
    /// RMSprop
    Rmsprop,
    /// Adadelta
    Adadelta,
    /// Adam with the infinity norm
    Adamax,
    /// Adam with Nesterov momentum
    Nadam,
    /// Rectified Adam
    Radam,
    /// AdaBelief
    Adabelief,
    /// Lion
    Lion,
    /// SGD with momentum 0.9 and a trust ratio for each tensor
    Lars,
    /// Adam with a trust ratio for each tensor
    Lamb,
    /// AdaFactor, of dimensions of 8 and more
    Adafactor,
    /// RAdam on centralised gradients; with Lookahead around it, Ranger
    Ranger,
}

impl RuleName {
    /// The learning rate that a run gets where none is given.
    pub fn default_learning_rate(self) -> f64 {
        match self {
            Self::Sgd => 0.5,
            Self::HeavyBall | Self::Nesterov | Self::Adagrad => 0.1,
            Self::Adam | Self::Adamw | Self::Amsgrad | Self::Rmsprop => 0.003,
            Self::Nadam | Self::Adabelief | Self::Lamb => 0.01,
            Self::Adamax => 0.02,
            Self::Radam | Self::Ranger | Self::Adafactor => 0.03,
            Self::Lion => 0.002,
            Self::Adadelta => 3.0,
            Self::Lars => 1.0,
        }
    }

    /// The inner optimizer as the library has it.
    pub fn rule(self, learning_rate: f64) -> Box<dyn Rule> {
        let sgd = Sgd::new(learning_rate);
        match self {
            Self::Sgd => Box::new(sgd),
            Self::HeavyBall => Box::new(sgd.momentum(MOMENTUM)),
            Self::Nesterov => Box::new(sgd.momentum(MOMENTUM).nesterov(true)),
            Self::Adam => Box::new(Adam::new(learning_rate)),
            Self::Adamw => Box::new(AdamW::new(learning_rate)),
            Self::Amsgrad => Box::new(Adam::new(learning_rate).amsgrad(true)),
            Self::Adagrad => Box::new(Adagrad::new(learning_rate)),
            Self::Rmsprop => Box::new(RmsProp::new(learning_rate)),
            Self::Adadelta => Box::new(Adadelta::new(learning_rate)),
            Self::Adamax => Box::new(Adamax::new(learning_rate)),
            Self::Nadam => Box::new(NAdam::new(learning_rate)),
            Self::Radam => Box::new(RAdam::new(learning_rate)),
            Self::Adabelief => Box::new(AdaBelief::new(learning_rate)),
            Self::Lion => Box::new(Lion::new(learning_rate)),
            Self::Lars => Box::new(Lars::new(learning_rate)),
            Self::Lamb => Box::new(Lamb::new(learning_rate)),
            Self::Adafactor => Box::new(AdaFactor::new(learning_rate).min_dim_size_to_factor(8)),
            Self::Ranger => Box::new(Ranger::new(learning_rate)),
        }
    }
}

impl Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self, f)
    }
}
