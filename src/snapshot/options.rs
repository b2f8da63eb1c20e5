//! What may be begun or given up where a snapshot is of an optimizer that was built otherwise.

use serde::{Deserialize, Serialize};

/// The weights that go on where a snapshot of Lookahead is imported into the rule alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// The slow weights: those that are evaluated.
    #[default]
    Slow,
    /// The fast weights, which the rule's state belongs to.
    Fast,
}

/// How [`Optimizer::import_with`](crate::Optimizer::import_with) takes a snapshot that does not fit as it is. By default
/// nothing is begun and nothing given up, as [`import`](crate::Optimizer::import) does.
///
/// ```
/// # fn main() -> Result<(), lookahead_wgpu::Error> {
/// # use lookahead_wgpu::{Average, ImportOptions, Lookahead, Optimizer, gpu::Gpu, rules::Adam};
/// # let gpu = Gpu::open_blocking(None)?;
/// let adam = || Optimizer::builder(Adam::default()).tensor("w", &[64]);
/// let alone = adam().build_blocking(&gpu.device, &gpu.queue)?;
/// let checkpoint = alone.export_blocking()?;
///
/// let around = adam().lookahead(Lookahead::default()).average(Average::Ema { decay: 0.999 });
/// let mut optimizer = around.build_blocking(&gpu.device, &gpu.queue)?;
/// optimizer.import_with(&checkpoint, ImportOptions::new().begin_lookahead().begin_average())?;
/// # Ok(())
/// # }
/// ```
///
/// A [guard](crate::guard) without loss scaling, [accumulation](crate::Accumulation) between two steps and
/// [tasks](crate::Lookahead::tasks) before the first of a round has ended change no value: they may be there or not, or be of
/// another number, without an option. Once it has ended, another number is refused until the next round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImportOptions {
    pub(super) begin_lookahead: bool,
    pub(super) end_lookahead: Option<Weights>,
    pub(super) change_policy: bool,
    pub(super) begin_outer: bool,
    pub(super) end_outer: bool,
    pub(super) begin_average: bool,
    pub(super) end_average: bool,
    pub(super) begin_curvature: bool,
    pub(super) end_curvature: bool,
    pub(super) begin_variance_reduction: bool,
    pub(super) end_variance_reduction: bool,
    pub(super) begin_anderson: bool,
    pub(super) end_anderson: bool,
    pub(super) begin_loss_scale: bool,
    pub(super) end_loss_scale: bool,
    pub(super) keep_settings: bool,
}

impl ImportOptions {
    /// Nothing is begun, nothing given up, and settings are the snapshot's.
    pub fn new() -> Self {
        Self::default()
    }

    /// A snapshot of the rule alone becomes Lookahead's: slow weights start as the weights, slow copies of the state as
    /// the state, the outer step's buffers and a Fisher at zero, and a cycle begins.
    pub fn begin_lookahead(self) -> Self {
        Self { begin_lookahead: true, ..self }
    }

    /// A snapshot of Lookahead becomes the rule's alone, with these weights. The state goes on as it is; slow copies
    /// of it, the outer step's buffers, a Fisher and iterates are given up.
    pub fn end_lookahead(self, weights: Weights) -> Self {
        Self { end_lookahead: Some(weights), ..self }
    }

    /// The policy for the rule's state may be another than the snapshot's. Slow copies of the state start as the
    /// state, or are given up.
    pub fn change_policy(self) -> Self {
        Self { change_policy: true, ..self }
    }

    /// An outer step begins, its buffers at zero. To change one for another takes [`end_outer`](Self::end_outer), too.
    pub fn begin_outer(self) -> Self {
        Self { begin_outer: true, ..self }
    }

    /// The snapshot's outer step is given up.
    pub fn end_outer(self) -> Self {
        Self { end_outer: true, ..self }
    }

    /// An average begins: as a copy of the weights, and with the next step as at the start of training, from which its
    /// steps are counted.
    pub fn begin_average(self) -> Self {
        Self { begin_average: true, ..self }
    }

    /// The snapshot's average is given up.
    pub fn end_average(self) -> Self {
        Self { end_average: true, ..self }
    }

    /// The curvature of an adaptive alpha begins at zero. Until a Fisher has filled, after about 1 / (1 - decay) steps,
    /// it is too small, and alpha too large.
    pub fn begin_curvature(self) -> Self {
        Self { begin_curvature: true, ..self }
    }

    /// The snapshot's curvature is given up.
    pub fn end_curvature(self) -> Self {
        Self { end_curvature: true, ..self }
    }

    /// [Variance reduction](crate::variance_reduction) begins: the full gradient is due before the next step.
    pub fn begin_variance_reduction(self) -> Self {
        Self { begin_variance_reduction: true, ..self }
    }

    /// The snapshot's full gradient is given up.
    pub fn end_variance_reduction(self) -> Self {
        Self { end_variance_reduction: true, ..self }
    }

    /// The snapshot was made within a cycle and lacks the iterates that [Anderson acceleration](crate::anderson) keeps here:
    /// the cycle ends as Lookahead's, and the next one is accelerated.
    pub fn begin_anderson(self) -> Self {
        Self { begin_anderson: true, ..self }
    }

    /// The snapshot's iterates of the cycle under way are given up, as far as they are not kept here.
    pub fn end_anderson(self) -> Self {
        Self { end_anderson: true, ..self }
    }

    /// Loss scaling begins, with its initial scale.
    pub fn begin_loss_scale(self) -> Self {
        Self { begin_loss_scale: true, ..self }
    }

    /// The snapshot's loss scale is given up: it becomes 1.
    pub fn end_loss_scale(self) -> Self {
        Self { end_loss_scale: true, ..self }
    }

    /// Everything that has a setter stays as it is in the optimizer, instead of becoming what it was when the snapshot
    /// was made: learning rates and their factors, weight decay, hyperparameters, k, alpha, what is frozen, the
    /// schedule. With a guard a cycle under way ends with the snapshot's k and alpha.
    pub fn keep_settings(self) -> Self {
        Self { keep_settings: true, ..self }
    }
}

/// What differs between a snapshot and an optimizer in a way that an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    BeginLookahead,
    EndLookahead,
    Policy,
    BeginOuter,
    EndOuter,
    BeginAverage,
    EndAverage,
    BeginCurvature,
    EndCurvature,
    BeginVarianceReduction,
    EndVarianceReduction,
    BeginAnderson,
    EndAnderson,
    BeginLossScale,
    EndLossScale,
}

impl Change {
    pub fn is_allowed(self, options: &ImportOptions) -> bool {
        match self {
            Self::BeginLookahead => options.begin_lookahead,
            Self::EndLookahead => options.end_lookahead.is_some(),
            Self::Policy => options.change_policy,
            Self::BeginOuter => options.begin_outer,
            Self::EndOuter => options.end_outer,
            Self::BeginAverage => options.begin_average,
            Self::EndAverage => options.end_average,
            Self::BeginCurvature => options.begin_curvature,
            Self::EndCurvature => options.end_curvature,
            Self::BeginVarianceReduction => options.begin_variance_reduction,
            Self::EndVarianceReduction => options.end_variance_reduction,
            Self::BeginAnderson => options.begin_anderson,
            Self::EndAnderson => options.end_anderson,
            Self::BeginLossScale => options.begin_loss_scale,
            Self::EndLossScale => options.end_loss_scale,
        }
    }

    /// The call that allows it.
    pub fn option(self) -> &'static str {
        match self {
            Self::BeginLookahead => "begin_lookahead()",
            Self::EndLookahead => "end_lookahead(Weights::Slow)",
            Self::Policy => "change_policy()",
            Self::BeginOuter => "begin_outer()",
            Self::EndOuter => "end_outer()",
            Self::BeginAverage => "begin_average()",
            Self::EndAverage => "end_average()",
            Self::BeginCurvature => "begin_curvature()",
            Self::EndCurvature => "end_curvature()",
            Self::BeginVarianceReduction => "begin_variance_reduction()",
            Self::EndVarianceReduction => "end_variance_reduction()",
            Self::BeginAnderson => "begin_anderson()",
            Self::EndAnderson => "end_anderson()",
            Self::BeginLossScale => "begin_loss_scale()",
            Self::EndLossScale => "end_loss_scale()",
        }
    }
}
