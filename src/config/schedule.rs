//! Learning-rate schedules: a factor on the rule's learning rate, by step.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer, ser};

use crate::error::{Error, check_hyperparameter};

/// The factor by which the learning rate of every group is multiplied at each step, as PyTorch's
/// `LambdaLR`: `lr(step) = rule's lr * group's factor * schedule(step)`, with steps counted from 0.
///
/// ```
/// use lookahead_wgpu::Schedule;
/// let schedule = Schedule::steps([(30, 0.1), (60, 0.1)]);
/// assert_eq!(schedule.factor(29), 1.0);
/// assert_eq!(schedule.factor(30), 0.1);
/// ```
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule(pub(crate) Kind);

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Kind {
    #[default]
    Constant,
    Steps(Vec<(u64, f64)>),
    Transformer {
        width: u32,
        warmup: u64,
    },
    Cosine {
        #[serde(default)]
        warmup: u64,
        total: u64,
        #[serde(default)]
        floor: f64,
    },
    #[serde(skip_deserializing, serialize_with = "refuse")]
    Custom(Factor),
}

type Factor = Arc<dyn Fn(u64) -> f64 + Send + Sync>;

fn refuse<S: Serializer>(_: &Factor, _: S) -> Result<S::Ok, S::Error> {
    Err(ser::Error::custom("a schedule that is a function of one's own cannot be serialised"))
}

impl Schedule {
    /// Always 1.
    pub fn constant() -> Self {
        Self(Kind::Constant)
    }

    /// Step decay: from each given step on, the factor is multiplied by the given number
    /// (PyTorch's `MultiStepLR`; the paper divides by 5 at epochs 60, 120 and 160).
    pub fn steps(decays: impl IntoIterator<Item = (u64, f64)>) -> Self {
        Self(Kind::Steps(decays.into_iter().collect()))
    }

    /// Warm-up, then decay with the inverse square root, as in "Attention Is All You Need"
    /// (section 5.3): with n = step + 1, `width^-0.5 * min(n^-0.5, n * warmup^-1.5)`.
    pub fn transformer(width: u32, warmup: u64) -> Self {
        Self(Kind::Transformer { width, warmup })
    }

    /// A linear warm-up from `1 / warmup` to 1 over `warmup` steps, then half a cosine from 1 down
    /// to `floor` at step `total`, and `floor` from there on.
    pub fn cosine(warmup: u64, total: u64, floor: f64) -> Self {
        Self(Kind::Cosine { warmup, total, floor })
    }

    /// Any function of the step.
    pub fn custom(factor: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self(Kind::Custom(Arc::new(factor)))
    }

    /// The factor at `step`, counted from 0.
    pub fn factor(&self, step: u64) -> f64 {
        match &self.0 {
            Kind::Constant => 1.0,
            Kind::Steps(decays) => {
                decays.iter().filter(|(at, _)| step >= *at).map(|(_, factor)| factor).product()
            }
            Kind::Transformer { width, warmup } => {
                let n = step as f64 + 1.0;
                f64::from(*width).powf(-0.5) * n.powf(-0.5).min(n * (*warmup as f64).powf(-1.5))
            }
            Kind::Cosine { warmup, total, floor } => {
                if step < *warmup {
                    return (step + 1) as f64 / *warmup as f64;
                }
                if step >= *total {
                    return *floor;
                }
                let done = (step - warmup) as f64 / (total - warmup) as f64;
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
            Kind::Custom(factor) => factor(step),
        }
    }

    /// A function of the caller's.
    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.0, Kind::Custom(_))
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let positive = |name, value: f64| check_hyperparameter(name, value, |value| value > 0.0, "positive");
        match &self.0 {
            Kind::Constant | Kind::Custom(_) => Ok(()),
            Kind::Steps(decays) => decays.iter().try_for_each(|(_, factor)| {
                check_hyperparameter("step decay factor", *factor, |factor| factor >= 0.0, "at least 0")
            }),
            Kind::Transformer { width, warmup } => {
                positive("transformer width", f64::from(*width))?;
                positive("transformer warmup", *warmup as f64)
            }
            Kind::Cosine { warmup, total, floor } => {
                check_hyperparameter("cosine floor", *floor, |floor| floor >= 0.0, "at least 0")?;
                let longer = total > warmup;
                check_hyperparameter("cosine total", *total as f64, |_| longer, "larger than the warm-up")
            }
        }
    }
}

/// Functions are equal where they are one and the same.
impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Constant, Kind::Constant) => true,
            (Kind::Steps(a), Kind::Steps(b)) => a == b,
            (
                Kind::Transformer { width, warmup },
                Kind::Transformer { width: other_width, warmup: other_warmup },
            ) => (width, warmup) == (other_width, other_warmup),
            (
                Kind::Cosine { warmup, total, floor },
                Kind::Cosine { warmup: other_warmup, total: other_total, floor: other_floor },
            ) => (warmup, total, floor) == (other_warmup, other_total, other_floor),
            (Kind::Custom(a), Kind::Custom(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Constant => write!(f, "Constant"),
            Kind::Steps(decays) => write!(f, "Steps({decays:?})"),
            Kind::Transformer { width, warmup } => {
                write!(f, "Transformer {{ width: {width}, warmup: {warmup} }}")
            }
            Kind::Cosine { warmup, total, floor } => {
                write!(f, "Cosine {{ warmup: {warmup}, total: {total}, floor: {floor} }}")
            }
            Kind::Custom(_) => write!(f, "Custom"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_multiply() {
        let schedule = Schedule::steps([(2, 0.5), (4, 0.1)]);
        let factors: Vec<f64> = (0..6).map(|step| schedule.factor(step)).collect();
        assert_eq!(factors, [1.0, 1.0, 0.5, 0.5, 0.05, 0.05]);
    }

    #[test]
    fn transformer_peaks_at_the_end_of_the_warmup() {
        let schedule = Schedule::transformer(512, 100);
        let peak = schedule.factor(99);
        assert!((peak - (512.0f64 * 100.0).powf(-0.5)).abs() < 1e-12);
        assert!(schedule.factor(98) < peak && schedule.factor(100) < peak);
    }

    #[test]
    fn cosine_warms_up_and_ends_at_the_floor() {
        let schedule = Schedule::cosine(4, 104, 0.1);
        assert_eq!(schedule.factor(0), 0.25);
        assert_eq!(schedule.factor(4), 1.0);
        assert!((schedule.factor(54) - 0.55).abs() < 1e-12);
        assert_eq!(schedule.factor(104), 0.1);
        assert_eq!(schedule.factor(1_000_000), 0.1);
    }

    #[test]
    fn impossible_schedules_are_refused() {
        for schedule in [
            Schedule::steps([(1, f64::NAN)]),
            Schedule::steps([(1, -1.0)]),
            Schedule::transformer(0, 10),
            Schedule::transformer(8, 0),
            Schedule::cosine(10, 10, 0.0),
            Schedule::cosine(1, 10, f64::INFINITY),
        ] {
            assert!(matches!(schedule.check(), Err(Error::Hyperparameter { .. })), "{schedule:?}");
        }
    }
}
