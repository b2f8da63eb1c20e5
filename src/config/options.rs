//! What all groups of an optimizer have in common, besides the tensors.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    config::{
        accumulate::Accumulation,
        alpha::{AdaptiveAlpha, GradientAt, Scope},
        anderson::Anderson,
        average::Average,
        clip::Clip,
        form::switch,
        guard::Guard,
        outer::{self, Interpolation, Outer},
        precision::Half,
        transform::{self, MAX_TRANSFORMS, Reduced, Transform},
    },
    error::Error,
};

/// The options that all groups have in common; [`Builder`](crate::Builder) has a method for each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// Gradient clipping.
    pub clip: Clip,
    /// Transformations of the gradient that come after clipping.
    #[serde(with = "transform", skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Arc<dyn Transform>>,
    /// How the slow weights move at a sync.
    #[serde(with = "outer")]
    pub outer: Arc<dyn Outer>,
    /// The adaptive slow step size.
    #[serde(rename = "adaptive_alpha")]
    pub adaptive: Option<AdaptiveAlpha>,
    /// A combination of the inner loop's iterates as the slow step.
    pub anderson: Option<Anderson>,
    /// An average of the weights.
    pub average: Option<Average>,
    /// Several micro-batches a step.
    pub accumulate: Option<Accumulation>,
    /// Gradients are corrected by those at the slow weights.
    pub variance_reduced: bool,
    /// The gradients of every group are centralised.
    pub centralise: bool,
    /// Steps with a gradient that is not finite are skipped.
    #[serde(deserialize_with = "switch")]
    pub guard: Option<Guard>,
    /// Gradient norms are kept to be read, though nothing is clipped or guarded.
    pub gradient_norms: bool,
    /// A half-width copy of the weights is kept.
    pub half_weights: Option<Half>,
    /// Gradients are half-width.
    pub half_gradients: Option<Half>,
    /// Slow weights are bf16, rounded at random.
    pub slow_bf16: bool,
    /// The objective is maximised, where a group does not have it otherwise.
    pub maximize: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clip: Clip::None,
            transforms: vec![],
            outer: Arc::new(Interpolation),
            adaptive: None,
            anderson: None,
            average: None,
            accumulate: None,
            variance_reduced: false,
            centralise: false,
            guard: None,
            gradient_norms: false,
            half_weights: None,
            half_gradients: None,
            slow_bf16: false,
            maximize: false,
        }
    }
}

impl Options {
    /// With gradients clipped.
    pub fn clip(self, clip: Clip) -> Self {
        Self { clip, ..self }
    }

    /// With one more transformation of the gradient, after those there are.
    pub fn transform(mut self, transform: impl Transform + 'static) -> Self {
        self.transforms.push(Arc::new(transform));
        self
    }

    /// With this outer step.
    pub fn outer(self, outer: impl Outer + 'static) -> Self {
        Self { outer: Arc::new(outer), ..self }
    }

    /// With this adaptive slow step size, or none.
    pub fn adaptive(self, adaptive: impl Into<Option<AdaptiveAlpha>>) -> Self {
        Self { adaptive: adaptive.into(), ..self }
    }

    /// With Anderson acceleration as the slow step, or without.
    pub fn anderson(self, anderson: impl Into<Option<Anderson>>) -> Self {
        Self { anderson: anderson.into(), ..self }
    }

    /// With this average of the weights, or none.
    pub fn average(self, average: impl Into<Option<Average>>) -> Self {
        Self { average: average.into(), ..self }
    }

    /// With so many micro-batches a step, or one.
    pub fn accumulate(self, accumulate: impl Into<Option<Accumulation>>) -> Self {
        Self { accumulate: accumulate.into(), ..self }
    }

    /// With gradients corrected by those at the slow weights, or as they are.
    pub fn variance_reduced(self, variance_reduced: bool) -> Self {
        Self { variance_reduced, ..self }
    }

    /// With gradients centralised, or as they are.
    pub fn centralise(self, centralise: bool) -> Self {
        Self { centralise, ..self }
    }

    /// With this guard, or none.
    pub fn guard(self, guard: impl Into<Option<Guard>>) -> Self {
        Self { guard: guard.into(), ..self }
    }

    /// With gradient norms that can be read, or those alone that are needed.
    pub fn gradient_norms(self, gradient_norms: bool) -> Self {
        Self { gradient_norms, ..self }
    }

    /// With a copy of the weights in this format, or none.
    pub fn half_weights(self, half: impl Into<Option<Half>>) -> Self {
        Self { half_weights: half.into(), ..self }
    }

    /// With gradients in this format, or f32.
    pub fn half_gradients(self, half: impl Into<Option<Half>>) -> Self {
        Self { half_gradients: half.into(), ..self }
    }

    /// With slow weights in bf16, or f32.
    pub fn slow_bf16(self, slow_bf16: bool) -> Self {
        Self { slow_bf16, ..self }
    }

    /// With the objective maximised, or minimised.
    pub fn maximize(self, maximize: bool) -> Self {
        Self { maximize, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.clip.check()?;
        transform::check(&self.transforms)?;
        self.outer.check()?;
        self.adaptive.map_or(Ok(()), |adaptive| adaptive.check())?;
        self.anderson.map_or(Ok(()), |anderson| anderson.check())?;
        self.average.map_or(Ok(()), |average| average.check())?;
        self.accumulate.map_or(Ok(()), |accumulate| accumulate.check())?;
        self.guard.map_or(Ok(()), |guard| guard.check())
    }

    /// Every step takes the norm of the gradient: for clipping, for a guard, or to be read.
    pub(crate) fn measures_norm(&self) -> bool {
        self.norm().is_some() || self.guard.is_some() || self.gradient_norms
    }

    /// What norm a transformation needs, if one does.
    pub(crate) fn norm(&self) -> Option<Reduced> {
        let listed = self.transforms.iter().filter_map(|transform| transform.reduces());
        self.clip.reduces().into_iter().chain(listed).find(|reduced| reduced.bound().is_some())
    }

    /// The coefficients of the listed transformations.
    pub(crate) fn coefficients(&self) -> [[f32; 4]; MAX_TRANSFORMS] {
        let mut all = [[0.0; 4]; MAX_TRANSFORMS];
        for (place, transform) in all.iter_mut().zip(&self.transforms) {
            *place = transform.coefficients();
        }
        all
    }

    /// The norm is of a gradient that is still multiplied by the loss scale: that is known before the guard has told
    /// anything, and a norm is so much larger.
    pub(crate) fn norm_is_scaled(&self) -> bool {
        self.guard.is_some() && !self.measures_what_is_told()
    }

    /// What is measured of the gradient depends on what a guard tells: transformations need not be linear.
    pub(crate) fn measures_what_is_told(&self) -> bool {
        self.guard.is_some() && !self.transforms.is_empty()
    }

    /// A guard tries every update first.
    pub(crate) fn tries_updates(&self) -> bool {
        self.guard.is_some_and(|guard| guard.checks_updates)
    }

    /// Where the gradient of a sync is taken that has a dispatch of its own; Anderson's needs none.
    pub(crate) fn sync_gradient(&self) -> Option<GradientAt> {
        let anderson = self.anderson.map(|_| GradientAt::LastStep);
        self.adaptive.map(|adaptive| adaptive.gradient).or(anderson)
    }

    /// Columns of Anderson acceleration; 0 without it.
    pub(crate) fn columns(&self) -> u32 {
        self.anderson.map_or(0, |anderson| anderson.columns)
    }

    /// What shares an adaptive alpha, or Anderson's coefficients.
    pub(crate) fn scope(&self) -> Scope {
        let anderson = self.anderson.map(|anderson| anderson.scope);
        self.adaptive.map(|adaptive| adaptive.scope).or(anderson).unwrap_or(Scope::Model)
    }

    /// The format of the slow weights, where it is not f32.
    pub(crate) fn slow_half(&self) -> Option<Half> {
        self.slow_bf16.then_some(Half::Bf16)
    }

    /// Micro-batches a step.
    pub(crate) fn micro_batches(&self) -> u32 {
        self.accumulate.map_or(1, |accumulate| accumulate.micro_batches)
    }

    /// What the sum of the gradients of so many micro-batches is multiplied with.
    pub(crate) fn gradient_scale(&self, micro_batches: u32, maximize: bool) -> f64 {
        let gradient_scale =
            self.accumulate.map_or(1.0, |accumulate| accumulate.gradient_scale(micro_batches));
        if maximize { -gradient_scale } else { gradient_scale }
    }
}
