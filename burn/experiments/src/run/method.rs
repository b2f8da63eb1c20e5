//! Optimizers, as they are compared.

use std::fmt;

use lookahead_wgpu::alpha::{Curvature, GradientAt};
use lookahead_wgpu::{
    AdaptiveAlpha, Average, Builder, Clip, Optimizer, Rule, Schedule,
    rules::{AdaFactor, Adam, AdamW, Sgd},
};
use serde::{Deserialize, Serialize};

/// An optimizer with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// The inner optimizer.
    pub inner: Inner,
    /// Its learning rate, before the schedule.
    pub rate: f64,
    /// L2 regularisation for SGD and Adam, decoupled weight decay for the others.
    pub decay: f64,
    /// Lookahead around it.
    pub lookahead: Option<Slow>,
    /// What is evaluated in place of the weights.
    pub average: Option<Averaging>,
    /// The largest norm of a step's gradients.
    pub clip: Option<f64>,
}

/// An inner optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inner {
    /// Stochastic gradient descent.
    Sgd {
        /// Heavy ball's momentum.
        momentum: f64,
    },
    /// Adam.
    Adam {
        /// Of the second moment.
        beta2: f64,
        /// Added to the root.
        eps: f64,
    },
    /// Adam with decoupled weight decay.
    AdamW,
    /// AdaFactor. Its rate is relative to the weights.
    AdaFactor,
}

/// Lookahead's settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    /// Inner steps a cycle.
    pub k: u32,
    /// The slow step size, or the least where it is adaptive.
    pub alpha: f64,
    /// Whether alpha is found anew at each sync (section 2.1 of the paper).
    pub is_adaptive: bool,
}

/// An average of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Averaging {
    /// Exponential.
    Ema {
        /// How much of the mean stays at each step.
        decay: f64,
    },
    /// From the first epoch on whose validation loss is above the least of all that came 5 and more before it (NT-ASGD;
    /// Merity, Keskar, Socher, 2017).
    Triggered,
}

impl Method {
    /// An inner optimizer alone.
    pub fn new(inner: Inner, rate: f64) -> Self {
        Self { inner, rate, decay: 0.0, lookahead: None, average: None, clip: None }
    }

    /// With this weight decay.
    pub fn decay(self, decay: f64) -> Self {
        Self { decay, ..self }
    }

    /// With Lookahead around it.
    pub fn lookahead(self, k: u32, alpha: f64) -> Self {
        Self { lookahead: Some(Slow { k, alpha, is_adaptive: false }), ..self }
    }

    /// With alphas found anew at each sync, which are at least `alpha`.
    pub fn adaptive(self, k: u32, alpha: f64) -> Self {
        Self { lookahead: Some(Slow { k, alpha, is_adaptive: true }), ..self }
    }

    /// With an average that is evaluated.
    pub fn average(self, average: Averaging) -> Self {
        Self { average: Some(average), ..self }
    }

    /// With gradients clipped by their norm.
    pub fn clip(self, norm: f64) -> Self {
        Self { clip: Some(norm), ..self }
    }

    /// The shipped optimizer's settings.
    pub fn builder(&self, schedule: Schedule) -> Builder {
        let mut builder = Optimizer::builder(self.rule()).schedule(schedule);
        if let Some(Slow { k, alpha, is_adaptive }) = self.lookahead {
            let fixed = if is_adaptive { 0.5 } else { alpha };
            builder = builder.lookahead(lookahead_wgpu::Lookahead::new(k, fixed));
            if is_adaptive {
                let adaptive = AdaptiveAlpha::new(alpha);
                builder =
                    builder.adaptive(adaptive.curvature(Curvature::Root).gradient(GradientAt::LastStep));
            }
        }
        match self.average {
            Some(Averaging::Ema { decay }) => builder = builder.average(Average::Ema { decay }),
            // Begun anew when it is triggered.
            Some(Averaging::Triggered) => builder = builder.average(Average::Polyak { from: 0 }),
            None => {}
        }
        match self.clip {
            Some(norm) => builder.clip(Clip::GlobalNorm(norm)),
            None => builder,
        }
    }

    fn rule(&self) -> Box<dyn Rule> {
        let Self { rate, decay, .. } = *self;
        match self.inner {
            Inner::Sgd { momentum } => Box::new(Sgd::new(rate).momentum(momentum).weight_decay(decay)),
            Inner::Adam { beta2, eps } => {
                Box::new(Adam::new(rate).betas(0.9, beta2).eps(eps).weight_decay(decay))
            }
            Inner::AdamW => Box::new(AdamW::new(rate).weight_decay(decay)),
            Inner::AdaFactor => Box::new(AdaFactor::new(rate).weight_decay(decay)),
        }
    }

    /// What it is called in a figure's legend: without its settings.
    pub fn name(&self) -> String {
        let inner = match (self.inner, self.average) {
            (Inner::Sgd { .. }, Some(Averaging::Triggered)) => "ASGD",
            (Inner::Sgd { .. }, Some(Averaging::Ema { .. })) => "Polyak",
            (Inner::Sgd { .. }, None) => "SGD",
            (Inner::Adam { .. }, _) => "Adam",
            (Inner::AdamW, _) => "AdamW",
            (Inner::AdaFactor, _) => "AdaFactor",
        };
        match self.lookahead {
            Some(Slow { is_adaptive: true, .. }) => format!("Lookahead({inner}), adaptive alpha"),
            Some(_) => format!("Lookahead({inner})"),
            None => inner.to_owned(),
        }
    }
}

/// The name, and the settings: one line that tells runs apart.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lr={}", self.name(), self.rate)?;
        if let Inner::Sgd { momentum } = self.inner {
            write!(f, " momentum={momentum}")?;
        }
        if self.decay != 0.0 {
            write!(f, " decay={}", self.decay)?;
        }
        if let Some(Slow { k, alpha, .. }) = self.lookahead {
            write!(f, " k={k} alpha={alpha}")?;
        }
        if let Some(Averaging::Ema { decay }) = self.average {
            write!(f, " ema={decay}")?;
        }
        match self.clip {
            Some(norm) => write!(f, " clip={norm}"),
            None => Ok(()),
        }
    }
}
