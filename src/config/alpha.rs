//! The adaptive slow step size alpha (section 2.1 of the paper).
//!
//! A fixed alpha of 0.5 is the paper's default. The best one between the slow weights phi and the fast weights
//! theta_k of a quadratic loss `1/2 x'Ax - b'x` with minimum theta* is known (Proposition 1):
//!
//! ```text
//! alpha* = (phi - theta*)' A (phi - theta_k) / ((phi - theta_k)' A (phi - theta_k))
//! ```
//!
//! With the gradient g at theta_k for what is not known of theta*, a diagonal estimate Â of the curvature, and
//! `d = theta_k - phi`, that is two dot products and no inverse:
//!
//! ```text
//! alpha^ = clip(1 - g'd / (d'Âd), alpha_low, 1)
//! ```
//!
//! The GPU finds it at every sync and uses it there, without a readback: two small passes over the weights, then the
//! sync in a dispatch of its own. Where `d'Âd` is zero or a sum is not finite, the fixed alpha of
//! [`Lookahead`](crate::Lookahead) is taken, as it is by
//! [`sync_now`](crate::Optimizer::sync_now), which has no gradient. The last alphas lie in
//! [`Optimizer::alphas`](crate::Optimizer::alphas), to bind or to copy, and
//! [`download_alphas`](crate::Optimizer::download_alphas) reads them.
//!
//! ```
//! use lookahead_wgpu::{AdaptiveAlpha, Lookahead, Optimizer, alpha::{Curvature, GradientAt, Scope}, rules::Adam};
//! let builder = Optimizer::builder(Adam::default())
//!     .lookahead(Lookahead::new(5, 0.5)) // 0.5 where no alpha can be found
//!     .adaptive(
//!         AdaptiveAlpha::new(0.1)                // alpha_low
//!             .curvature(Curvature::Root)        // Â = sqrt(v^) + eps
//!             .scope(Scope::Tensor)              // one for each tensor
//!             .gradient(GradientAt::LastStep),   // costs no gradient
//!     );
//! ```
//!
//! # Choices
//!
//! - **Curvature.** [`Curvature::Corrected`] (v^, the empirical Fisher) is the paper's. It is of the gradient's size
//!   squared: where gradients are small, d'v^d is smaller still against g'd, and alpha^ ends at one of its bounds.
//!   [`Curvature::Root`] has the scale by which Adam itself divides. [`Curvature::Given`] takes yours.
//! - **Where the gradient is taken.** The formula asks for it at theta_k, which the inner loop never computes: a cycle
//!   then has k + 1 calls of `step`, the last of which only finds alpha and synchronises
//!   ([`GradientAt::Synchronised`], the default). [`GradientAt::LastStep`] uses the gradient at theta_(k-1) instead.
//! - **Scope.** One alpha for the model, for each group or for each tensor.
//! - The gradient is that of the loss (and of L2 decay, where the rule has it), before centralisation and clipping.
//!   That of a frozen group is not looked at: the model's alpha is found without it, and its own is the fixed one.

use serde::{Deserialize, Serialize};

use crate::{
    config::{form::bare, lookahead::check_alpha},
    error::{Error, check_hyperparameter},
};

/// alpha found anew at every sync, on the GPU, from the gradient and a diagonal estimate Â of the curvature:
///
/// ```text
/// alpha^ = clip(1 - g'd / (d'Âd), alpha_low, 1),   d = theta_k - phi,   g = grad L(theta_k)
/// ```
///
/// which is the paper's formula with the inverse multiplied out. On a quadratic with Â = A it is the best step
/// between phi and theta_k (Proposition 1). Where the denominator is zero or a sum is not finite, the
/// [`Lookahead`](crate::Lookahead)'s fixed alpha is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AdaptiveAlpha {
    /// Where Â comes from.
    #[serde(default)]
    pub curvature: Curvature,
    /// What shares an alpha.
    #[serde(default)]
    pub scope: Scope,
    /// The least alpha, in (0, 1].
    pub alpha_low: f64,
    /// Where the gradient is taken.
    #[serde(default)]
    pub gradient: GradientAt,
}

impl AdaptiveAlpha {
    /// With this least alpha, and the rest at the defaults: the corrected second moment, one alpha for the whole
    /// model, the gradient at theta_k.
    pub fn new(alpha_low: f64) -> Self {
        Self {
            curvature: Curvature::default(),
            scope: Scope::default(),
            alpha_low,
            gradient: GradientAt::default(),
        }
    }

    /// With this curvature.
    pub fn curvature(self, curvature: Curvature) -> Self {
        Self { curvature, ..self }
    }

    /// With an alpha for each of these.
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// With the gradient taken here.
    pub fn gradient(self, gradient: GradientAt) -> Self {
        Self { gradient, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_alpha("alpha_low", self.alpha_low)?;
        match self.curvature {
            Curvature::Fisher { decay } => check_hyperparameter(
                "the Fisher's decay",
                decay,
                |decay| (0.0..1.0).contains(&decay),
                "in [0, 1)",
            ),
            _ => Ok(()),
        }
    }
}

/// The diagonal estimate Â of the curvature.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curvature {
    /// v^, the rule's bias-corrected second moment. A rule that has none gets the empirical Fisher with a decay
    /// of 0.999.
    #[default]
    Corrected,
    /// v, the second moment as the rule keeps it.
    Raw,
    /// sqrt(v^) + eps, by which Adam divides.
    Root,
    /// The empirical Fisher: a running mean of squared gradients with this decay, kept for the purpose in
    /// one more buffer, and bias-corrected.
    #[serde(with = "bare")]
    Fisher {
        /// How much of the mean stays at each step, in [0, 1).
        decay: f64,
    },
    /// What the caller writes into [`Optimizer::curvature`](crate::Optimizer::curvature).
    Given,
}

/// What shares an alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All tensors that are synchronised.
    #[default]
    Model,
    /// Each group.
    Group,
    /// Each tensor.
    Tensor,
}

/// Where the gradient of the adaptive alpha is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GradientAt {
    /// At theta_k, as in the paper. A cycle then is k + 1 calls of `step`: k inner steps, and one that uses its
    /// gradient for alpha alone and synchronises.
    #[default]
    Synchronised,
    /// At theta_(k-1): the gradient of the k-th inner step is used once more. It costs no gradient, and is
    /// biased towards a larger alpha.
    LastStep,
}
