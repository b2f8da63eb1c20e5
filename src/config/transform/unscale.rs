//! What every gradient is multiplied with.

use super::contract::{Context, Transform};
use crate::error::Error;

/// `g <- scale g`: what every gradient has, and no list need name. A guard has the last word on its coefficient.
#[derive(Debug)]
pub(crate) struct Unscale;

impl Transform for Unscale {
    fn name(&self) -> &str {
        "unscale"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../../shaders/transforms/unscale.wgsl")
    }

    fn apply(&self, gradients: &mut [Vec<f64>], context: &Context<'_>) {
        gradients.iter_mut().flatten().for_each(|value| *value *= context.gradient_scale);
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}
