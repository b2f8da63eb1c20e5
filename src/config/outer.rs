//! Outer steps: how the slow weights move at a sync, from d = phi - theta_k as a pseudo-gradient.
//!
//! | outer step | formula | buffers | source |
//! |---|---|---|---|
//! | [`Interpolation`] | `phi <- phi - alpha d` | none | Lookahead (Zhang et al., 2019) |
//! | [`HeavyBall`] | `b <- mu b + d; phi <- phi - alpha b` | 1 | outer SGD with momentum |
//! | [`Nesterov`] | `b <- mu b + d; phi <- phi - alpha (d + mu b)` | 1 | DiLoCo (Douillard et al., 2023), SNOO |
//! | [`SlowMo`] | `u <- beta u + d / lr; phi <- phi - alpha lr u` | 1 | SlowMo (Wang et al., 2020) |
//!
//! alpha is Lookahead's slow step size (DiLoCo's outer learning rate, 0.7 with mu = 0.9) and lr the inner
//! learning rate of the step that synchronises. With mu or beta zero each is [`Interpolation`] bit for bit. All
//! are fused into the k-th inner step. One of one's own is another implementation of [`Outer`].

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

use crate::{
    error::{Error, check_hyperparameter},
    rules::Slot,
};

/// An outer step. Its WGSL holds `fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f`, which sees four slow
/// and four fast weights and `one_minus_alpha = 1 - alpha`, reads `control.lr` and `control.outer` (the coefficients),
/// reads and writes `outer_state[0]`, ... (zero after the slow weights are initialised) and returns the new slow
/// weights. It may use all of WGSL's own functions and the driver's `la_is_nan`, `la_sign`, `la_min`, `la_max` and
/// `la_clamp`, as [rules](crate::rules) do, whose page says which names are the driver's; a helper of its own must have
/// another name than those of the rules that it is used with.
pub trait Outer: std::fmt::Debug + Send + Sync {
    /// The name, for messages and snapshots.
    fn name(&self) -> &str;

    /// Whether it is the [interpolation](Interpolation) of Lookahead by itself, for which no one needs to ask. No by
    /// default.
    fn is_interpolation(&self) -> bool {
        false
    }

    /// `fn outer`.
    fn wgsl(&self) -> &str;

    /// The buffers, each of as many values as there are weights.
    fn slots(&self) -> Vec<Slot>;

    /// `control.outer`; must be finite.
    fn coefficients(&self) -> [f32; 4];

    /// The f64 twin of `fn outer`, for one weight.
    fn step(&self, phi: f64, theta: f64, alpha: f64, learning_rate: f64, state: &mut [f64]) -> f64;

    /// Its settings: those of this crate have some, and are serialised so. An outer step of one's own has none.
    fn settings(&self) -> Option<Settings> {
        None
    }

    /// Refuses coefficients outside their ranges.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`].
    fn check(&self) -> Result<(), Error>;
}

impl<T: Outer + ?Sized> Outer for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn is_interpolation(&self) -> bool {
        (**self).is_interpolation()
    }
    fn wgsl(&self) -> &str {
        (**self).wgsl()
    }
    fn slots(&self) -> Vec<Slot> {
        (**self).slots()
    }
    fn coefficients(&self) -> [f32; 4] {
        (**self).coefficients()
    }
    fn step(&self, phi: f64, theta: f64, alpha: f64, learning_rate: f64, state: &mut [f64]) -> f64 {
        (**self).step(phi, theta, alpha, learning_rate, state)
    }
    fn settings(&self) -> Option<Settings> {
        (**self).settings()
    }
    fn check(&self) -> Result<(), Error> {
        (**self).check()
    }
}

/// An outer step of this crate as serde has it: its name and its momentum, `{ "nesterov": 0.9 }`, or `"interpolation"`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Settings {
    /// [`Interpolation`].
    Interpolation,
    /// [`HeavyBall`].
    HeavyBall(f64),
    /// [`Nesterov`].
    Nesterov(f64),
    /// [`SlowMo`].
    SlowMo(f64),
}

impl From<Settings> for Arc<dyn Outer> {
    fn from(settings: Settings) -> Self {
        match settings {
            Settings::Interpolation => Arc::new(Interpolation),
            Settings::HeavyBall(momentum) => Arc::new(HeavyBall { momentum }),
            Settings::Nesterov(momentum) => Arc::new(Nesterov { momentum }),
            Settings::SlowMo(momentum) => Arc::new(SlowMo { momentum }),
        }
    }
}

pub(crate) fn serialize<S: Serializer>(outer: &Arc<dyn Outer>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(settings) = outer.settings() else {
        let name = outer.name();
        return Err(ser::Error::custom(format!("the outer step `{name}` has no settings to be serialised")));
    };
    settings.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<dyn Outer>, D::Error> {
    Settings::deserialize(deserializer).map(Arc::from)
}

/// What a snapshot calls the [`Interpolation`].
pub(crate) const INTERPOLATION: &str = "interpolation";

/// Lookahead's own: `phi <- phi - alpha d`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Interpolation;

impl Outer for Interpolation {
    fn name(&self) -> &str {
        INTERPOLATION
    }

    fn is_interpolation(&self) -> bool {
        true
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/outer/interpolation.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![]
    }

    fn coefficients(&self) -> [f32; 4] {
        [0.0; 4]
    }

    fn step(&self, phi: f64, theta: f64, alpha: f64, _: f64, _: &mut [f64]) -> f64 {
        phi - alpha * (phi - theta)
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::Interpolation)
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Heavy-ball outer momentum: `b <- mu b + d; phi <- phi - alpha b`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeavyBall {
    /// mu, the outer momentum, in [0, 1).
    pub momentum: f64,
}

impl Outer for HeavyBall {
    fn name(&self) -> &str {
        "heavy_ball"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/outer/heavy_ball.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("momentum_buffer")]
    }

    fn coefficients(&self) -> [f32; 4] {
        [self.momentum as f32, 0.0, 0.0, 0.0]
    }

    fn step(&self, phi: f64, theta: f64, alpha: f64, _: f64, state: &mut [f64]) -> f64 {
        state[0] = self.momentum * state[0] + (phi - theta);
        phi - alpha * state[0]
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::HeavyBall(self.momentum))
    }

    fn check(&self) -> Result<(), Error> {
        check_momentum("outer momentum", self.momentum)
    }
}

/// Nesterov outer momentum, as DiLoCo and SNOO with one worker: `b <- mu b + d; phi <- phi - alpha (d + mu b)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nesterov {
    /// mu, the outer momentum, in [0, 1).
    pub momentum: f64,
}

impl Default for Nesterov {
    /// DiLoCo's: 0.9. Its outer learning rate is `Lookahead::new(k, 0.7)`.
    fn default() -> Self {
        Self { momentum: 0.9 }
    }
}

impl Outer for Nesterov {
    fn name(&self) -> &str {
        "nesterov"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/outer/nesterov.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("momentum_buffer")]
    }

    fn coefficients(&self) -> [f32; 4] {
        [self.momentum as f32, 0.0, 0.0, 0.0]
    }

    fn step(&self, phi: f64, theta: f64, alpha: f64, _: f64, state: &mut [f64]) -> f64 {
        let d = phi - theta;
        state[0] = self.momentum * state[0] + d;
        phi - alpha * (d + self.momentum * state[0])
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::Nesterov(self.momentum))
    }

    fn check(&self) -> Result<(), Error> {
        check_momentum("outer momentum", self.momentum)
    }
}

/// SlowMo with one worker: `u <- beta u + d / lr; phi <- phi - alpha lr u`. At a learning rate of 0, d counts
/// as 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowMo {
    /// beta, the slow momentum, in [0, 1).
    pub momentum: f64,
}

impl Outer for SlowMo {
    fn name(&self) -> &str {
        "slow_mo"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/outer/slow_mo.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("slow_momentum")]
    }

    fn coefficients(&self) -> [f32; 4] {
        [self.momentum as f32, 0.0, 0.0, 0.0]
    }

    fn step(&self, phi: f64, theta: f64, alpha: f64, learning_rate: f64, state: &mut [f64]) -> f64 {
        let past = self.momentum * state[0];
        state[0] = past + if learning_rate == 0.0 { 0.0 } else { (phi - theta) / learning_rate };
        phi - alpha * (phi - theta) - alpha * learning_rate * past
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::SlowMo(self.momentum))
    }

    fn check(&self) -> Result<(), Error> {
        check_momentum("slow momentum", self.momentum)
    }
}

fn check_momentum(name: &str, momentum: f64) -> Result<(), Error> {
    check_hyperparameter(name, momentum, |momentum| (0.0..1.0).contains(&momentum), "in [0, 1)")
}
