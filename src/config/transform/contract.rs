//! What a transformation of the gradient is.

use std::{fmt::Debug, sync::Arc};

use serde_json::Value;

use crate::error::Error;

/// The most transformations that [`Builder::transform`](crate::Builder::transform) takes.
pub const MAX_TRANSFORMS: usize = 4;

/// A transformation of the gradient. Its WGSL holds a function that has its name and sees four values of the gradient,
///
/// ```wgsl
/// fn name(g: vec4f, coefficients: vec4f, reduced: vec4f, tensor: u32, value: u32, step: u32) -> vec4f
/// ```
///
/// of whose parameters it declares `g` first, then those that it needs, in any order:
///
/// - `coefficients`: what [`coefficients`](Self::coefficients) gives;
/// - `reduced`: what [`reduces`](Self::reduces) asks for, of the gradient as it comes to this transformation;
/// - `tensor` and `value`: the tensor's number in the order in which tensors were named, and the number of `g.x` in it. Where
///   a tensor ends within the four, what is returned for the rest is of no account;
/// - `step`: how many steps were taken before this one.
///
/// It may use all of WGSL's own functions and the driver's `la_is_nan`, `la_sign`, `la_min`, `la_max` and `la_clamp`, as
/// [rules](crate::rules) do. A helper of its own must have another name than those of the rules, the outer step and the
/// transformations that it is used with; its own name for a prefix makes sure of that.
pub trait Transform: Debug + Send + Sync {
    /// The name: of the function, and in messages.
    fn name(&self) -> &str;

    /// The function.
    fn wgsl(&self) -> &str;

    /// What must be known of the whole gradient. Nothing by default.
    fn reduces(&self) -> Option<Reduced> {
        None
    }

    /// `coefficients`; must be finite, and the same whenever it is asked. Zeros by default.
    fn coefficients(&self) -> [f32; 4] {
        [0.0; 4]
    }

    /// The f64 twin of the function, over the gradients of all tensors.
    fn apply(&self, gradients: &mut [Vec<f64>], context: &Context<'_>);

    /// What it is serialised as: those of this crate as [`Options`](crate::Options) read them. A transformation of one's own
    /// is nothing.
    fn settings(&self) -> Option<Value> {
        None
    }

    /// Refuses coefficients outside their ranges.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`].
    fn check(&self) -> Result<(), Error>;
}

/// What a transformation needs to know of the whole gradient, found by a pass of its own over it. Of all transformations
/// of an optimizer one may need the means of rows, and one a norm.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Reduced {
    /// `reduced`: for each of the four values the mean of its row, which is all values with the same place in the tensor's
    /// first dimension. 0 for tensors of one dimension and for rows of one value.
    RowMeans,
    /// `reduced.x`: `min(1, bound / (norm + 1e-6))`, of the norm over all tensors that are not frozen. It may be smaller
    /// than any f32 that the GPU computes with: `la_times(reduced.x, g)` multiplies all the same.
    GlobalNorm(f64),
    /// The same of each tensor's own norm.
    TensorNorm(f64),
}

impl Reduced {
    /// The bound of a norm.
    pub(crate) fn bound(self) -> Option<f64> {
        match self {
            Self::RowMeans => None,
            Self::GlobalNorm(bound) | Self::TensorNorm(bound) => Some(bound),
        }
    }
}

/// What a transformation's twin is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Context<'a> {
    /// The tensors' shapes.
    pub shapes: &'a [Vec<usize>],
    /// Steps taken before this one.
    pub step: u64,
    /// What the sum of the micro-batches' gradients is multiplied with.
    pub gradient_scale: f64,
}

impl<T: Transform + ?Sized> Transform for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn wgsl(&self) -> &str {
        (**self).wgsl()
    }
    fn reduces(&self) -> Option<Reduced> {
        (**self).reduces()
    }
    fn coefficients(&self) -> [f32; 4] {
        (**self).coefficients()
    }
    fn apply(&self, gradients: &mut [Vec<f64>], context: &Context<'_>) {
        (**self).apply(gradients, context);
    }
    fn settings(&self) -> Option<Value> {
        (**self).settings()
    }
    fn check(&self) -> Result<(), Error> {
        (**self).check()
    }
}
