//! The f64 twin of the whole optimizer: the same schedule, on the host, one value at a time.
//!
//! It is what the kernels are tested against, and what a rule of one's own can be.

use std::sync::Arc;

use crate::{
    clip::Clip,
    lookahead::{Clock, Lookahead, StatePolicy, flags},
    norm::norm,
    rules::{Rule, Step, WeightDecay},
};

/// One group's training in f64. The fields are its state, for comparison.
#[derive(Debug, Clone)]
pub struct Twin {
    rule: Arc<dyn Rule>,
    lookahead: Option<Lookahead>,
    clip: Clip,
    clock: Clock,
    /// Fast weights, a tensor each.
    pub weights: Vec<Vec<f64>>,
    /// Slow weights.
    pub slow_weights: Vec<Vec<f64>>,
    /// State slots of every weight.
    pub state: Vec<Vec<Vec<f64>>>,
    /// Their slow copies.
    pub slow_state: Vec<Vec<Vec<f64>>>,
}

impl Twin {
    /// Training from these weights, with the rule alone.
    pub fn new(rule: impl Rule + 'static, weights: Vec<Vec<f64>>) -> Self {
        let initial = initial(&rule);
        let state: Vec<Vec<_>> =
            weights.iter().map(|tensor| tensor.iter().map(|_| initial.clone()).collect()).collect();
        Self {
            rule: Arc::new(rule),
            lookahead: None,
            clip: Clip::None,
            clock: Clock::new(),
            slow_weights: weights.clone(),
            weights,
            slow_state: state.clone(),
            state,
        }
    }

    /// With Lookahead around the rule.
    pub fn lookahead(self, lookahead: Lookahead) -> Self {
        Self { lookahead: Some(lookahead), ..self }
    }

    /// With gradients clipped.
    pub fn clip(self, clip: Clip) -> Self {
        Self { clip, ..self }
    }

    /// One inner step at this learning rate, with the sync where the cycle ends.
    pub fn step(&mut self, gradients: &[Vec<f64>], learning_rate: f64) {
        let bits = self.clock.next_step(self.lookahead.as_ref(), false);
        let decay = match self.rule.weight_decay() {
            WeightDecay::Direction(factor) => factor,
            _ => 0.0,
        };
        let step = Step { count: self.clock.count + 1, learning_rate, decay, trust: 1.0 };
        if bits & flags::SEED != 0 {
            self.slow_weights.clone_from(&self.weights);
        }
        let decay = self.rule.weight_decay();
        for (tensor, gradients) in self.clipped(gradients).iter().enumerate() {
            for (index, &gradient) in gradients.iter().enumerate() {
                let state = &mut self.state[tensor][index];
                let weight = self.weights[tensor][index];
                let (weight, gradient) = match decay {
                    WeightDecay::None | WeightDecay::Direction(_) => (weight, gradient),
                    WeightDecay::L2(factor) => (weight, gradient + factor * weight),
                    WeightDecay::Decoupled(factor) => (weight - learning_rate * factor * weight, gradient),
                };
                self.weights[tensor][index] = self.rule.update(&step, weight, gradient, state);
            }
        }
        if let Some(lookahead) = self.lookahead
            && bits & flags::SYNC != 0
        {
            self.sync(&lookahead);
        }
        self.clock.step_taken(bits, self.lookahead.as_ref());
    }

    fn sync(&mut self, lookahead: &Lookahead) {
        let pull = |fast: &mut f64, slow: &mut f64| {
            *slow += lookahead.alpha * (*fast - *slow);
            *fast = *slow;
        };
        let weights = self.weights.iter_mut().flatten().zip(self.slow_weights.iter_mut().flatten());
        weights.for_each(|(fast, slow)| pull(fast, slow));
        match lookahead.policy {
            StatePolicy::Maintain => {}
            StatePolicy::Interpolate => {
                let state = self.state.iter_mut().flatten().flatten();
                let slow = self.slow_state.iter_mut().flatten().flatten();
                state.zip(slow).for_each(|(fast, slow)| pull(fast, slow));
            }
            StatePolicy::Reset => {
                let initial = initial(self.rule.as_ref());
                self.state.iter_mut().flatten().for_each(|state| state.clone_from(&initial));
            }
        }
    }

    fn clipped(&self, gradients: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let scale = |tensor: &Vec<f64>, factor: f64| tensor.iter().map(|value| factor * value).collect();
        match self.clip {
            Clip::None => gradients.to_vec(),
            Clip::Value(bound) => gradients
                .iter()
                .map(|tensor| tensor.iter().map(|value| value.clamp(-bound, bound)).collect())
                .collect(),
            Clip::GlobalNorm(bound) => {
                let (_, factor) = norm(gradients.iter().flatten().copied(), bound);
                gradients.iter().map(|tensor| scale(tensor, factor)).collect()
            }
            Clip::TensorNorm(bound) => {
                gradients.iter().map(|tensor| scale(tensor, norm(tensor.iter().copied(), bound).1)).collect()
            }
        }
    }
}

/// The initial state of one weight.
fn initial(rule: &dyn Rule) -> Vec<f64> {
    rule.slots().iter().map(|slot| f64::from(slot.initial)).collect()
}
