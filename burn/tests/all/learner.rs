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

#[cfg(feature = "wgpu")]
mod with_a_module_lookahead {
    use std::sync::{Arc, Mutex};

    use burn::{
        lr_scheduler::module_lr_scheduler::ModuleLearningRate,
        module::Module,
        optim::{GradientsParams, ModuleOptimizer, SgdConfig},
    };
    use lookahead_burn::ModuleLookahead;

    use super::*;
    use crate::{devices::gpu, module::settings};

    /// A model that steps itself.
    #[derive(Module, Debug)]
    struct Stepped {
        network: Network,
        #[module(skip)]
        optimizer: Arc<Mutex<ModuleLookahead>>,
    }

    impl TrainStep for Stepped {
        type Input = usize;
        type Output = Nothing;

        fn step(&self, step: usize) -> TrainOutput<Nothing> {
            TrainOutput::new(self, self.network.loss(step).backward(), Nothing)
        }

        fn optimize(
            self,
            _: &mut ModuleOptimizer,
            _: ModuleLearningRate,
            gradients: GradientsParams,
        ) -> Self {
            let Self { network, optimizer } = self;
            let network = optimizer.lock().unwrap().step(network, gradients).unwrap();
            Self { network, optimizer }
        }
    }

    impl InferenceStep for Stepped {
        type Input = usize;
        type Output = Nothing;

        fn step(&self, _: usize) -> Nothing {
            Nothing
        }
    }

    #[test]
    fn a_learner_trains_a_model_that_steps_itself() {
        let network = Network::new(&gpu().0.clone().autodiff());
        let optimizer = ModuleLookahead::new(settings(), &network, &gpu().1).unwrap();
        let model = Stepped { network, optimizer: Arc::new(Mutex::new(optimizer)) };
        let mut learner = Learner::new(model, SgdConfig::new().init(), RATE);
        for step in 0..12 {
            learner.lr_step();
            let output = learner.train_step(step);
            learner.optimizer_step(output.grads);
        }
        let (fast, _) = reference(12, 5, 0.5);
        let error = error(&learner.model().network.values(), &fast);
        assert!(error < 2e-5, "{error:e}");
    }
}
