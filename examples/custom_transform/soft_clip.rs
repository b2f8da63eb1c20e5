//! Soft clipping.

use lookahead_wgpu::{
    Error, check_hyperparameter,
    transform::{Context, Transform},
};

/// Each value of the gradient bounded smoothly: `g <- c tanh(g / c)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftClip {
    /// c, the bound, above 0.
    pub bound: f64,
}

impl Transform for SoftClip {
    /// The function in the WGSL is called so.
    fn name(&self) -> &str {
        "soft_clip"
    }

    fn wgsl(&self) -> &str {
        include_str!("soft_clip.wgsl")
    }

    /// What the function gets as `coefficients`.
    fn coefficients(&self) -> [f32; 4] {
        [self.bound as f32, self.bound.recip() as f32, 0.0, 0.0]
    }

    /// What the function does, in f64, for all tensors.
    fn apply(&self, gradients: &mut [Vec<f64>], _: &Context<'_>) {
        for value in gradients.iter_mut().flatten() {
            *value = self.bound * (*value / self.bound).tanh();
        }
    }

    fn check(&self) -> Result<(), Error> {
        check_hyperparameter("bound", self.bound, |bound| bound >= 1e-30, "finite and at least 1e-30")
    }
}
