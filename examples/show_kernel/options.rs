//! The command line: every option that decides how kernels are composed.

use std::sync::Arc;

use clap::{Parser, ValueEnum};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Anderson, Average, Clip, Guard, Half, Lookahead, LossScale, Options, Outer,
    StatePolicy, alpha,
    outer::{HeavyBall, Interpolation, Nesterov, SlowMo},
    transform::GradientNoise,
};

/// Prints a compute kernel of the optimizer, whole, as it is composed for these settings.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  show_kernel adam                                           the step of Adam alone
  show_kernel adam --lookahead interpolate --clip global     with Lookahead around it and gradients clipped
  show_kernel adam --clip global --kernel finish-norm        what makes a factor of the norm's partial sums
  show_kernel lamb --kernel partial-trust                    what LAMB's trust ratio is measured with
  show_kernel sgd --guard updates --kernel guard             what decides whether a step is taken
  show_kernel adafactor --lookahead reset --kernel all       every kernel that these settings have
  show_kernel --list                                         the rules")]
pub struct Arguments {
    /// The rule; --list lists them
    #[arg(default_value = "adam")]
    pub rule: String,

    /// Which kernel
    #[arg(long, value_enum, default_value_t = Which::Step)]
    pub kernel: Which,

    /// Where weights and gradients lie
    #[arg(long, value_enum, default_value_t = Home::Owned)]
    pub access: Home,

    /// For borrowed tensors that do not all start at multiples of four values
    #[arg(long)]
    pub by_value: bool,

    /// As it is cut for adapters that compute on the CPU, rather than for hardware
    #[arg(long)]
    pub cpu: bool,

    /// For models whose rows have 32 values and more
    #[arg(long)]
    pub long_rows: bool,

    /// For models whose factored moments have four values side by side together, as matrices of rows of a multiple of
    /// four have
    #[arg(long)]
    pub even_moments: bool,

    /// Lookahead around the rule, with this policy for the rule's state
    #[arg(long, value_enum, value_name = "POLICY")]
    lookahead: Option<Policy>,

    /// Gradient clipping
    #[arg(long, value_enum)]
    clip: Option<ClipBy>,

    /// Centralise gradients
    #[arg(long)]
    centralise: bool,

    /// Add annealed Gaussian noise to them, after clipping
    #[arg(long)]
    gradient_noise: bool,

    /// Accumulate the gradients of several micro-batches
    #[arg(long)]
    accumulate: bool,

    /// Correct gradients by those at the slow weights, as SVRG does
    #[arg(long)]
    variance_reduced: bool,

    /// Keep gradient norms
    #[arg(long)]
    gradient_norms: bool,

    /// The outer step
    #[arg(long, value_enum)]
    outer: Option<OuterStep>,

    /// An adaptive alpha, from this curvature
    #[arg(long, value_enum, value_name = "CURVATURE")]
    adaptive: Option<Curvature>,

    /// Anderson acceleration of so many columns
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=5), conflicts_with_all = ["adaptive", "outer"])]
    anderson: Option<u32>,

    /// What shares an adaptive alpha, or Anderson's coefficients
    #[arg(long, value_enum, default_value_t = Scope::Model)]
    scope: Scope,

    /// Keep an average of the weights
    #[arg(long)]
    average: bool,

    /// Skip steps whose gradient is not finite; `updates`: those, too, whose update is not
    #[arg(long, value_enum, value_name = "CHECKS")]
    guard: Option<Checks>,

    /// Keep a half-width copy of the weights
    #[arg(long, value_enum, value_name = "FORMAT")]
    half_weights: Option<Width>,

    /// Half-width gradients
    #[arg(long, value_enum, value_name = "FORMAT")]
    half_gradients: Option<Width>,

    /// Slow weights in bf16
    #[arg(long)]
    slow_bf16: bool,

    /// List the rules
    #[arg(long)]
    pub list: bool,
}

/// A kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Every kernel of these settings
    All,
    /// The inner step, with the sync fused into it
    Step,
    /// Exchanges weights and slow weights
    SwapSlow,
    /// Exchanges weights and average
    SwapAverage,
    /// Sums for the means of rows
    PartialRows,
    /// Sums for gradient norms
    PartialNorm,
    /// Sums for trust ratios
    PartialTrust,
    /// Sums for AdaFactor's scales
    PartialScale,
    /// Whether an update would be finite
    PartialTried,
    /// Sums for the adaptive alpha
    PartialAlpha,
    /// Products of the residuals that Anderson acceleration combines
    PartialResiduals,
    /// Means of rows
    FinishRows,
    /// Gradient norms and the factors that clip by them
    FinishNorm,
    /// Trust ratios
    FinishTrust,
    /// AdaFactor's scales
    FinishScale,
    /// Whether all of an update would be finite
    FinishTried,
    /// Adaptive alphas
    FinishAlpha,
    /// Anderson's coefficients
    FinishResiduals,
    /// Sums of squares for AdaFactor's second moments
    MomentSums,
    /// AdaFactor's second moments
    MomentFold,
    /// The means of their rows
    MomentMeans,
    /// The roots of both, by which gradients are divided
    MomentRoots,
    /// What a sync does to them
    MomentSync,
    /// Decides whether a step is taken
    Guard,
    /// Tells what a step would be, for its update to be tried
    GuardPreview,
}

impl Which {
    /// Every kernel.
    pub const EACH: [Self; 22] = [
        Self::Step,
        Self::SwapSlow,
        Self::SwapAverage,
        Self::PartialRows,
        Self::PartialNorm,
        Self::PartialTrust,
        Self::PartialScale,
        Self::PartialTried,
        Self::PartialAlpha,
        Self::FinishRows,
        Self::FinishNorm,
        Self::FinishTrust,
        Self::FinishScale,
        Self::FinishTried,
        Self::FinishAlpha,
        Self::MomentSums,
        Self::MomentFold,
        Self::MomentMeans,
        Self::MomentRoots,
        Self::MomentSync,
        Self::Guard,
        Self::GuardPreview,
    ];

    /// As the command line has it.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Home {
    /// In the optimizer's own buffers
    Owned,
    /// In two buffers of the caller's
    Borrowed,
    /// In one buffer of the caller's, near each other
    Pooled,
    /// In one buffer of the caller's, far from each other
    Far,
    /// In several pairs of buffers of the caller's
    Several,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Policy {
    Maintain,
    Interpolate,
    Reset,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ClipBy {
    Value,
    Global,
    Tensor,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OuterStep {
    Interpolation,
    HeavyBall,
    Nesterov,
    SlowMo,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Curvature {
    Corrected,
    Raw,
    Root,
    Fisher,
    Given,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scope {
    Model,
    Group,
    Tensor,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Checks {
    Gradients,
    Updates,
    LossScale,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Width {
    F16,
    Bf16,
}

impl Width {
    fn half(self) -> Half {
        match self {
            Self::F16 => Half::F16,
            Self::Bf16 => Half::Bf16,
        }
    }
}

impl Arguments {
    pub fn lookahead(&self) -> Option<Lookahead> {
        let policy = match self.lookahead? {
            Policy::Maintain => StatePolicy::Maintain,
            Policy::Interpolate => StatePolicy::Interpolate,
            Policy::Reset => StatePolicy::Reset,
        };
        Some(Lookahead::default().policy(policy))
    }

    /// The options; an error where they need Lookahead and there is none.
    pub fn options(&self) -> Result<Options, String> {
        let needs = [
            (self.adaptive.is_some(), "--adaptive"),
            (self.anderson.is_some(), "--anderson"),
            (self.outer.is_some(), "--outer"),
            (self.slow_bf16, "--slow-bf16"),
        ];
        if let Some((_, option)) = needs.into_iter().find(|(set, _)| *set && self.lookahead.is_none()) {
            return Err(format!("{option} is for Lookahead; give --lookahead, too"));
        }
        let mut options = Options::default();
        if self.gradient_noise {
            options = options.transform(GradientNoise::new(0.01));
        }
        Ok(options
            .clip(self.clip.map_or(Clip::None, |clip| match clip {
                ClipBy::Value => Clip::Value(1.0),
                ClipBy::Global => Clip::GlobalNorm(1.0),
                ClipBy::Tensor => Clip::TensorNorm(1.0),
            }))
            .outer(self.outer_step())
            .adaptive(self.adaptive_alpha())
            .anderson(self.anderson.map(|columns| Anderson::new(columns).scope(self.scope())))
            .average(self.average.then_some(Average::Ema { decay: 0.999 }))
            .accumulate(self.accumulate.then(|| Accumulation::mean(4)))
            .variance_reduced(self.variance_reduced)
            .centralise(self.centralise)
            .guard(self.guard.map(|checks| match checks {
                Checks::Gradients => Guard::default(),
                Checks::Updates => Guard::default().check_updates(),
                Checks::LossScale => Guard::loss_scale(LossScale::default()),
            }))
            .gradient_norms(self.gradient_norms)
            .half_weights(self.half_weights.map(Width::half))
            .half_gradients(self.half_gradients.map(Width::half))
            .slow_bf16(self.slow_bf16))
    }

    fn outer_step(&self) -> Arc<dyn Outer> {
        match self.outer.unwrap_or(OuterStep::Interpolation) {
            OuterStep::Interpolation => Arc::new(Interpolation),
            OuterStep::HeavyBall => Arc::new(HeavyBall { momentum: 0.9 }),
            OuterStep::Nesterov => Arc::new(Nesterov::default()),
            OuterStep::SlowMo => Arc::new(SlowMo { momentum: 0.9 }),
        }
    }

    fn adaptive_alpha(&self) -> Option<AdaptiveAlpha> {
        let curvature = match self.adaptive? {
            Curvature::Corrected => alpha::Curvature::Corrected,
            Curvature::Raw => alpha::Curvature::Raw,
            Curvature::Root => alpha::Curvature::Root,
            Curvature::Fisher => alpha::Curvature::Fisher { decay: 0.999 },
            Curvature::Given => alpha::Curvature::Given,
        };
        Some(AdaptiveAlpha::new(0.1).curvature(curvature).scope(self.scope()))
    }

    fn scope(&self) -> alpha::Scope {
        match self.scope {
            Scope::Model => alpha::Scope::Model,
            Scope::Group => alpha::Scope::Group,
            Scope::Tensor => alpha::Scope::Tensor,
        }
    }
}
