//! Lookahead around an optimizer of Burn's.

pub(crate) mod evaluate;
mod request;
mod slots;
pub(crate) mod state;

use burn::{
    optim::{LearningRate, Optimizer},
    tensor::{Device, Tensor},
};
use lookahead_wgpu::{StatePolicy, check_hyperparameter};

use crate::error::Error;
use request::Request;
use state::LookaheadState;

/// Lookahead (Zhang, Lucas, Hinton, Ba, 2019, Algorithm 1) around an optimizer of Burn's, the inner one: after every `k` of
/// its steps the slow weights phi move the fraction `alpha` towards the fast weights theta, which restart there.
///
/// ```text
/// phi <- phi + alpha (theta - phi);   theta <- phi
/// ```
///
/// It is an [`Optimizer`] itself, so it goes wherever one does: into a `ModuleOptimizer`, a `Learner`, a parameter group.
///
/// ```
/// use burn::optim::{AdamConfig, ModuleOptimizer};
/// use lookahead_burn::Lookahead;
///
/// # fn main() -> Result<(), lookahead_burn::Error> {
/// // was: let mut optimizer = AdamConfig::new().init();
/// let mut optimizer: ModuleOptimizer = Lookahead::new(AdamConfig::new().build(), 5, 0.5)?.into();
/// # Ok(())
/// # }
/// ```
///
/// - The slow weights of a parameter start as its weights before its first step, so load pre-trained weights before that.
/// - Burn steps each parameter on its own, and leaves one without a gradient alone. So each counts its own steps to the
///   next sync; all sync in the same step as long as all have gradients in every step.
/// - Gradient clipping that is part of an inner optimizer's config is applied by its `init`, not by `build`: give it to
///   `ModuleOptimizer::with_grad_clipping`.
/// - Slow weights, position in the cycle and slow state are part of Burn's optimizer record: training resumed from one goes
///   on bit for bit.
#[derive(Clone)]
pub struct Lookahead<O> {
    inner: O,
    k: u32,
    alpha: f64,
    policy: StatePolicy,
}

impl<O: Optimizer> Lookahead<O> {
    /// Around this optimizer, with this synchronisation period and slow step size, and the state maintained. An alpha of 1
    /// gives the inner optimizer alone.
    ///
    /// # Errors
    ///
    /// [`lookahead_wgpu::Error::Hyperparameter`] where k is 0, or alpha is not in (0, 1].
    pub fn new(inner: O, k: u32, alpha: f64) -> Result<Self, Error> {
        check_hyperparameter("k", f64::from(k), |k| k >= 1.0, "at least 1")?;
        check_hyperparameter("alpha", alpha, |alpha| alpha > 0.0 && alpha <= 1.0, "in (0, 1]")?;
        Ok(Self { inner, k, alpha, policy: StatePolicy::Maintain })
    }

    /// With this policy for the inner optimizer's state, all of it.
    ///
    /// - [`StatePolicy::Maintain`]: it goes on as it is.
    /// - [`StatePolicy::Reset`]: the inner optimizer begins anew after each sync, step count included.
    /// - [`StatePolicy::Interpolate`]: a slow copy of every tensor of the state, starting at zero as the state of Burn's
    ///   optimizers does, moves towards it by alpha, and the tensor restarts there. The step count goes on. For SGD, Adam,
    ///   AdamW, Adafactor, Adan, LAMB, Lion and Muon this stays on the device. Burn gives no access to the tensors of other
    ///   states but through their records, so those go by way of the host at each sync, which a browser cannot wait for.
    #[must_use]
    pub fn policy(self, policy: StatePolicy) -> Self {
        Self { policy, ..self }
    }

    /// Moves the slow weights, and gives the fast weights that restart there.
    fn sync<const D: usize>(
        &self,
        fast: Tensor<D>,
        state: LookaheadState<O::State<D>, D>,
    ) -> (Tensor<D>, LookaheadState<O::State<D>, D>) {
        // With an alpha of 1, slow + (fast - slow) is rounded, and fast is not.
        let slow =
            if self.alpha < 1.0 { state.slow.clone() + (fast - state.slow) * self.alpha } else { fast };
        let (inner, slow_inner) = match (self.policy, state.inner) {
            (StatePolicy::Maintain, inner) => (inner, None),
            (StatePolicy::Reset, _) | (_, None) => (None, None),
            (StatePolicy::Interpolate, Some(inner)) => {
                let inner = slots::interpolate(inner, state.slow_inner, self.alpha, &slow);
                (Some(inner.clone()), Some(inner))
            }
        };
        (slow.clone(), LookaheadState { inner, slow, slow_inner, position: 0 })
    }
}

impl<O: Optimizer> Optimizer for Lookahead<O> {
    type State<const D: usize> = LookaheadState<O::State<D>, D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        fast: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        match (Request::take(), state) {
            // A parameter that was never stepped has slow weights that are its weights.
            (Some(_), None) => (fast, None),
            (Some(Request::Slow), Some(state)) => (state.slow.clone(), Some(state)),
            (Some(Request::Sync), Some(state)) => {
                let (fast, state) = self.sync(fast, state);
                (fast, Some(state))
            }
            (None, state) => {
                let mut state = state.unwrap_or_else(|| LookaheadState::new(fast.clone()));
                let (fast, inner) = self.inner.step(learning_rate, fast, gradient, state.inner.take());
                state.inner = inner;
                state.position += 1;
                let (fast, state) =
                    if state.position < self.k { (fast, state) } else { self.sync(fast, state) };
                (fast, Some(state))
            }
        }
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        LookaheadState {
            inner: state.inner.map(|inner| O::to_device(inner, device)),
            slow: state.slow.to_device(device),
            slow_inner: state.slow_inner.map(|inner| O::to_device(inner, device)),
            position: state.position,
        }
    }
}
