//! How well a new wave is fitted from some weights by ten points and some steps.

use crate::learner::Learner;
use crate::network::loss;
use crate::waves::{Batch, DOMAIN, Wave};
use lookahead_wgpu::{Error, Field};
use serde::Serialize;

/// Places at which a fit is compared with its wave.
pub const PLACES: u32 = 101;

/// Those places.
pub fn places() -> impl ExactSizeIterator<Item = f64> {
    let width = DOMAIN.end - DOMAIN.start;
    (0..PLACES).map(move |place| DOMAIN.start + width * f64::from(place) / f64::from(PLACES - 1))
}

/// A wave, and the points of it that are seen.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub wave: Wave,
    pub points: Batch,
}

impl Sample {
    /// The mean squared error of some weights, over the whole domain.
    pub fn error(&self, weights: &[f32]) -> f64 {
        loss(weights, places().map(|x| (x, self.wave.at(x))))
    }
}

/// Mean squared errors over the domain, means of several waves.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Errors {
    pub before: f64,
    pub after: f64,
}

/// The weights after steps on a sample from these ones.
pub fn fit(learner: &mut Learner<'_>, from: &[f32], sample: &Sample, steps: u32) -> Result<Vec<f32>, Error> {
    learner.upload(from)?;
    learner.train(steps, |_| sample.points)?;
    learner.download(Field::Weights)
}

/// Fits every sample.
pub fn errors(
    learner: &mut Learner<'_>,
    from: &[f32],
    samples: &[Sample],
    steps: u32,
) -> Result<Errors, Error> {
    let mut errors = Errors::default();
    for sample in samples {
        let fitted = fit(learner, from, sample, steps)?;
        errors.before += sample.error(from) / samples.len() as f64;
        errors.after += sample.error(&fitted) / samples.len() as f64;
    }
    Ok(errors)
}
