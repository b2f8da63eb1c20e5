//! A network on the digits of `examples/train`.

use std::error::Error;

use lookahead_wgpu::{Anderson, gpu::Gpu};
use serde::Serialize;
use train::{
    data::Dataset,
    driver::Workbench,
    options::Options,
    rule::RuleName,
    settings::{PolicyName, Settings},
};

use crate::method::Method;

pub const EPOCHS: u32 = 20;
pub const BATCH: u32 = 64;
pub const LEARNING_RATE: f64 = 0.3;

/// How a network trains.
#[derive(Debug, Clone, Serialize)]
pub struct Training {
    pub method: &'static str,
    /// The mean loss of each epoch.
    pub losses: Vec<f64>,
    pub test_losses: Vec<f64>,
    /// Of the weights that count, at the end.
    pub accuracy: f64,
    /// In all, tests included.
    pub seconds: f64,
}

/// Trains with each of them.
pub fn train(gpu: Gpu, methods: &[Method]) -> Result<Vec<Training>, Box<dyn Error>> {
    let dataset = Dataset::digits()?;
    let bench = Workbench::new(gpu, &dataset)?;
    let train = |method: &Method| {
        let settings = Settings {
            rule: RuleName::named("sgd").ok_or("there is no rule `sgd`")?,
            learning_rate: LEARNING_RATE,
            lookahead: method.lookahead.map(|it| (it.k, it.alpha, PolicyName::Maintain)),
            options: Options { anderson: method.anderson.map(columns), ..Options::default() },
            hidden: vec![64],
            epochs: EPOCHS,
            batch: BATCH,
            seed: 1,
            tests_each_epoch: 1,
        };
        let history = bench.train(&settings, &mut |_| ())?;
        let Some(last) = history.epochs.last() else { return Err("no epoch was trained".into()) };
        Ok(Training {
            method: method.name,
            losses: history.epochs.iter().map(|epoch| epoch.train_loss).collect(),
            test_losses: history.epochs.iter().map(|epoch| epoch.test_loss).collect(),
            accuracy: last.accuracy(),
            seconds: last.seconds,
        })
    };
    methods.iter().map(train).collect()
}

/// Columns and regularisation.
fn columns(anderson: Anderson) -> (u32, f64) {
    (anderson.columns, anderson.regularisation)
}
