//! What a parameter is beside its values.

use burn::{
    module::ParamId,
    tensor::{GradientCheckpointingStrategy, Tensor},
};

/// What Burn's own optimizers take of a parameter before a step and give back to it after that.
pub(super) struct Context {
    is_autodiff: bool,
    requires_gradient: bool,
    is_distributed: bool,
    checkpointing: Option<GradientCheckpointingStrategy>,
}

impl Context {
    pub(super) fn of<const D: usize>(parameter: &Tensor<D>) -> Self {
        let is_autodiff = parameter.is_autodiff();
        Self {
            is_autodiff,
            requires_gradient: parameter.is_require_grad(),
            is_distributed: is_autodiff && parameter.is_distributed(),
            checkpointing: parameter.gradient_checkpointing_strategy(),
        }
    }

    pub(super) fn restore<const D: usize>(self, values: Tensor<D>, id: ParamId) -> Tensor<D> {
        if !self.is_autodiff {
            return values;
        }
        let mut parameter = Tensor::from_inner(values);
        if let Some(strategy) = self.checkpointing {
            parameter = parameter.with_gradient_checkpointing_strategy(strategy);
        }
        if self.requires_gradient {
            parameter = parameter.require_grad();
        }
        if self.is_distributed {
            parameter = parameter.set_distributed(id);
        }
        parameter
    }
}
