//! Gradient centralisation.

use serde_json::Value;

use super::contract::{Context, Reduced, Transform};
use crate::error::Error;

/// Gradient centralisation: `g <- g - mean of g's row`, for tensors of two or more dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Centralise;

impl Transform for Centralise {
    fn name(&self) -> &str {
        "centralise"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../../shaders/transforms/centralise.wgsl")
    }

    fn reduces(&self) -> Option<Reduced> {
        Some(Reduced::RowMeans)
    }

    fn apply(&self, gradients: &mut [Vec<f64>], context: &Context<'_>) {
        for (gradient, shape) in gradients.iter_mut().zip(context.shapes) {
            let length: usize = shape.iter().skip(1).product();
            for row in gradient.chunks_mut(length.max(1)).filter(|_| shape.len() > 1 && length > 1) {
                let mean = row.iter().sum::<f64>() / row.len() as f64;
                row.iter_mut().for_each(|value| *value -= mean);
            }
        }
    }

    fn settings(&self) -> Option<Value> {
        Some(Value::from("centralise"))
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}
