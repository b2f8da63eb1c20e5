//! Gradient clipping, on the GPU and without a readback.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_hyperparameter};

/// How gradients are bounded before weight decay and the rule see them. The gradient buffers
/// themselves are left as they are.
///
/// Norms are right for finite gradients of any size, though their squares, or the norm itself, lie beyond f32's range
/// (values below 1.2e-38 count as 0). A NaN stays one: by value where it is, by norm in all that the norm is of, as in
/// PyTorch. An infinity is bounded by value; by norm it becomes NaN, and all else in the norm 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// Not at all.
    #[default]
    None,
    /// Each value to `[-bound, bound]`, as `torch.nn.utils.clip_grad_value_`.
    Value(f64),
    /// The norm over all tensors that are not frozen: `g <- g * min(1, max / (norm + 1e-6))`, as
    /// `torch.nn.utils.clip_grad_norm_`.
    GlobalNorm(f64),
    /// The same by each tensor's own norm.
    TensorNorm(f64),
}

impl Clip {
    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Value(bound) | Self::GlobalNorm(bound) | Self::TensorNorm(bound) => {
                check_hyperparameter("clip", bound, |bound| bound > 0.0, "finite and positive")
            }
        }
    }

    pub(crate) fn is_norm(self) -> bool {
        matches!(self, Self::GlobalNorm(_) | Self::TensorNorm(_))
    }

    /// The bound of the norm, 0 where there is none.
    pub(crate) fn norm_bound(self) -> f64 {
        if self.is_norm() { self.bound() } else { 0.0 }
    }

    /// The bound, 0 for none.
    pub(crate) fn bound(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Value(bound) | Self::GlobalNorm(bound) | Self::TensorNorm(bound) => bound,
        }
    }
}
