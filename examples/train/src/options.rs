//! What an optimizer does besides its rule and Lookahead's plain sync.

use clap::ValueEnum;
use lookahead_wgpu::alpha::{Curvature, GradientAt, Scope};
use lookahead_wgpu::outer::{HeavyBall, Nesterov, SlowMo};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Anderson, Average, Builder, Group, Guard, Half, LossScale,
};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};

/// How much of the empirical Fisher stays at each step.
const FISHER_DECAY: f64 = 0.999;
/// The group of all biases, where groups have alphas of their own.
pub const BIASES: &str = "biases";

/// What else an optimizer does; by default, nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// An alpha found anew at every sync.
    pub adaptive: Option<Adaptive>,
    /// Columns and regularisation of Anderson acceleration, where it is the slow step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anderson: Option<(u32, f64)>,
    /// The outer step and its momentum, where it is not the interpolation.
    pub outer: Option<(OuterName, f64)>,
    /// An average of the weights.
    pub average: Option<AverageKind>,
    /// The width of gradients, and of a copy of the weights that the passes read.
    pub half: Option<HalfName>,
    /// Steps with gradients that are not finite are skipped.
    pub guard: bool,
    /// The first loss scale, where there is one.
    pub loss_scale: Option<f64>,
    /// Micro-batches of a step, where there are several.
    pub accumulate: Option<u32>,
    /// Gradients are centralised.
    pub centralise: bool,
}

/// An adaptive alpha.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adaptive {
    /// The estimate of the curvature.
    pub curvature: CurvatureName,
    /// The least alpha.
    pub alpha_low: f64,
    /// What shares one.
    pub scope: ScopeName,
    /// Where the gradient is taken.
    pub gradient: GradientName,
}

/// An estimate of the curvature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CurvatureName {
    /// The rule's second moment, bias-corrected; a rule without one gets the Fisher
    Corrected,
    /// The rule's second moment as it keeps it
    Raw,
    /// Its square root, by which Adam divides
    Root,
    /// The empirical Fisher, kept for the purpose
    Fisher,
}

/// What shares an alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeName {
    /// The whole network
    Model,
    /// All weights one, all biases another
    Group,
    /// Each tensor its own
    Tensor,
}

/// Where the gradient of an adaptive alpha is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientName {
    /// After the k-th step, which takes one more batch for it
    Synchronised,
    /// Before the k-th step: its own gradient once more
    LastStep,
}

/// An outer step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OuterName {
    /// Lookahead's own
    Interpolation,
    /// With momentum
    HeavyBall,
    /// With Nesterov momentum, as DiLoCo
    Nesterov,
    /// SlowMo
    SlowMo,
}

/// An average of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AverageKind {
    /// Exponential, with this decay.
    Ema(f64),
    /// Of all steps from this one on.
    Polyak(u64),
    /// Of every so many steps, from this one on.
    Swa(u64, u64),
}

/// A half-width format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HalfName {
    /// IEEE half precision
    F16,
    /// bfloat16
    Bf16,
}

impl Display for Options {
    /// What is not as usual, each with a comma before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Adaptive { curvature, alpha_low, scope, gradient }) = self.adaptive {
            let [curvature, scope, gradient] = [name(&curvature), name(&scope), name(&gradient)];
            write!(f, ",\nadaptive alpha from {alpha_low} on ({curvature}, {scope}, {gradient})")?;
        }
        if let Some((columns, regularisation)) = self.anderson {
            write!(f, ",\nAnderson acceleration of {columns} columns, lambda {regularisation:e}")?;
        }
        if let Some((outer, momentum)) = self.outer {
            write!(f, ",\nouter step {} with momentum {momentum}", name(&outer))?;
        }
        match self.average {
            None => {}
            Some(AverageKind::Ema(decay)) => write!(f, ",\naverage ema with decay {decay}")?,
            Some(AverageKind::Polyak(from)) => write!(f, ",\naverage polyak from step {from} on")?,
            Some(AverageKind::Swa(every, from)) => {
                write!(f, ",\naverage swa of every {every} steps from step {from} on")?;
            }
        }
        if let Some(half) = self.half {
            write!(f, ",\nhalf width {}", name(&half))?;
        }
        match self.loss_scale {
            Some(scale) => write!(f, ",\nloss scale from {scale} on")?,
            None if self.guard => write!(f, ",\nguarded")?,
            None => {}
        }
        if let Some(batches) = self.accumulate {
            write!(f, ",\n{batches} batches a step")?;
        }
        if self.centralise { write!(f, ",\ncentralised gradients") } else { Ok(()) }
    }
}

/// The name that the command line knows.
fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

impl HalfName {
    /// The format as the library has it.
    pub fn format(self) -> Half {
        match self {
            Self::F16 => Half::F16,
            Self::Bf16 => Half::Bf16,
        }
    }
}

impl Adaptive {
    fn alpha(self) -> AdaptiveAlpha {
        let curvature = match self.curvature {
            CurvatureName::Corrected => Curvature::Corrected,
            CurvatureName::Raw => Curvature::Raw,
            CurvatureName::Root => Curvature::Root,
            CurvatureName::Fisher => Curvature::Fisher { decay: FISHER_DECAY },
        };
        let scope = match self.scope {
            ScopeName::Model => Scope::Model,
            ScopeName::Group => Scope::Group,
            ScopeName::Tensor => Scope::Tensor,
        };
        let gradient = match self.gradient {
            GradientName::Synchronised => GradientAt::Synchronised,
            GradientName::LastStep => GradientAt::LastStep,
        };
        AdaptiveAlpha::new(self.alpha_low).curvature(curvature).scope(scope).gradient(gradient)
    }
}

impl Options {
    /// What of them makes sense for a rule alone.
    pub fn without_lookahead(self) -> Self {
        Self { adaptive: None, anderson: None, outer: None, ..self }
    }

    /// Biases are a group of their own.
    pub fn has_groups(&self) -> bool {
        self.adaptive.is_some_and(|adaptive| adaptive.scope == ScopeName::Group)
    }

    /// Micro-batches of a step.
    pub fn micro_batches(&self) -> u32 {
        self.accumulate.unwrap_or(1)
    }

    /// Builds with them.
    pub fn apply(&self, mut builder: Builder) -> Builder {
        if let Some(adaptive) = self.adaptive {
            builder = builder.adaptive(adaptive.alpha());
        }
        if let Some((columns, regularisation)) = self.anderson {
            builder = builder.anderson(Anderson::new(columns).regularisation(regularisation));
        }
        builder = match self.outer {
            None | Some((OuterName::Interpolation, _)) => builder,
            Some((OuterName::HeavyBall, momentum)) => builder.outer(HeavyBall { momentum }),
            Some((OuterName::Nesterov, momentum)) => builder.outer(Nesterov { momentum }),
            Some((OuterName::SlowMo, momentum)) => builder.outer(SlowMo { momentum }),
        };
        builder = match self.average {
            None => builder,
            Some(AverageKind::Ema(decay)) => builder.average(Average::Ema { decay }),
            Some(AverageKind::Polyak(from)) => builder.average(Average::Polyak { from }),
            Some(AverageKind::Swa(every, from)) => builder.average(Average::Swa { every, from }),
        };
        if let Some(half) = self.half.map(HalfName::format) {
            builder = builder.half_weights(half).half_gradients(half);
        }
        if let Some(initial) = self.loss_scale {
            builder = builder.guard(Guard::loss_scale(LossScale::default().initial(initial)));
        } else if self.guard {
            builder = builder.guard(Guard::default());
        }
        if let Some(micro_batches) = self.accumulate {
            builder = builder.accumulate(Accumulation::mean(micro_batches));
        }
        if self.has_groups() {
            builder = builder.group(Group::new(BIASES));
        }
        if self.centralise { builder.centralise() } else { builder }
    }
}
