//! Within Burn's `Learner`.

use burn::{
    tensor::ExecutionError,
    train::{InferenceStep, ItemLazy, Learner, TrainOutput, TrainStep},
};

use crate::{
    devices::on_devices,
    network::{Network, RATE, error, lookahead, reference},
};

/// An output, of which nothing is shown.
pub struct Nothing;

impl ItemLazy for Nothing {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl TrainStep for Network {
    /// The step's number.
    type Input = usize;
    type Output = Nothing;

    fn step(&self, step: usize) -> TrainOutput<Nothing> {
        TrainOutput::new(self, self.loss(step).backward(), Nothing)
    }
}

impl InferenceStep for Network {
    type Input = usize;
    type Output = Nothing;

    fn step(&self, _: usize) -> Nothing {
        Nothing
    }
}

#[test]
fn a_learner_trains_with_it() {
    on_devices(|device| {
        let mut learner = Learner::new(Network::new(device), lookahead(5, 0.5), RATE);
        for step in 0..12 {
            learner.lr_step();
            let output = learner.train_step(step);
            learner.optimizer_step(output.grads);
        }
        let (fast, _) = reference(12, 5, 0.5);
        let error = error(&learner.model().values(), &fast);
        assert!(error < 2e-5, "{error:e}");
    });
}
