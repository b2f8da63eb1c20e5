//! Gradient clipping, on the GPU and without a readback.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::transform::contract::{Context, Reduced, Transform};
use crate::{
    error::{Error, check_hyperparameter},
    rules::minimum,
};

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
    fn bound(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Value(bound) | Self::GlobalNorm(bound) | Self::TensorNorm(bound) => bound,
        }
    }
}

impl Transform for Clip {
    fn name(&self) -> &str {
        match self {
            Self::None => "clip_nothing",
            Self::Value(_) => "clip_by_value",
            Self::GlobalNorm(_) | Self::TensorNorm(_) => "clip_by_norm",
        }
    }

    fn wgsl(&self) -> &str {
        match self {
            Self::None => "fn la_clip_nothing(g: vec4f) -> vec4f {\n    return g;\n}\n",
            Self::Value(_) => include_str!("../../shaders/transforms/clip_by_value.wgsl"),
            Self::GlobalNorm(_) | Self::TensorNorm(_) => {
                include_str!("../../shaders/transforms/clip_by_norm.wgsl")
            }
        }
    }

    fn reduces(&self) -> Option<Reduced> {
        match *self {
            Self::None | Self::Value(_) => None,
            Self::GlobalNorm(bound) => Some(Reduced::GlobalNorm(bound)),
            Self::TensorNorm(bound) => Some(Reduced::TensorNorm(bound)),
        }
    }

    fn coefficients(&self) -> [f32; 4] {
        [self.bound() as f32, 0.0, 0.0, 0.0]
    }

    fn apply(&self, gradients: &mut [Vec<f64>], _: &Context<'_>) {
        let scale = |values: &mut Vec<f64>, factor: f64| values.iter_mut().for_each(|value| *value *= factor);
        match *self {
            Self::None => {}
            Self::Value(bound) => {
                gradients.iter_mut().flatten().for_each(|value| *value = value.clamp(-bound, bound));
            }
            Self::GlobalNorm(bound) => {
                let factor = factor(gradients.iter().flatten(), bound);
                gradients.iter_mut().for_each(|values| scale(values, factor));
            }
            Self::TensorNorm(bound) => gradients.iter_mut().for_each(|values| {
                let factor = factor(values.iter(), bound);
                scale(values, factor);
            }),
        }
    }

    fn settings(&self) -> Option<Value> {
        let kind = match self {
            Self::None => return Some(json!({ "clip": "none" })),
            Self::Value(_) => "value",
            Self::GlobalNorm(_) => "global_norm",
            Self::TensorNorm(_) => "tensor_norm",
        };
        Some(json!({ "clip": { kind: self.bound() } }))
    }

    fn check(&self) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Value(bound) | Self::GlobalNorm(bound) | Self::TensorNorm(bound) => {
                check_hyperparameter("clip", *bound, |bound| bound > 0.0, "finite and positive")
            }
        }
    }
}

/// What brings the norm of values down to a bound.
fn factor<'a>(values: impl Iterator<Item = &'a f64>, bound: f64) -> f64 {
    let norm = values.map(|value| value * value).sum::<f64>().sqrt();
    minimum(bound / (norm + 1e-6), 1.0)
}
