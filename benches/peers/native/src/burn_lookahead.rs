//! Lookahead around Burn's Adam, of Burn's tensor operations: an optimizer of a tensor, as Burn's own are, so that
//! fusion sees its sync beside the step.

use burn::{
    optim::{Adam, AdamState, LearningRate, Optimizer, RecordState, StateSink, StateSource, join_path},
    tensor::{Device, Tensor},
};

use crate::peer::{ALPHA, K};

#[derive(Clone)]
pub struct Lookahead {
    adam: Adam,
}

#[derive(Clone)]
pub struct LookaheadState<const D: usize> {
    adam: AdamState<D>,
    slow: Tensor<D>,
}

impl Lookahead {
    pub fn new(adam: Adam) -> Self {
        Self { adam }
    }
}

impl Optimizer for Lookahead {
    type State<const D: usize> = LookaheadState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        fast: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let (adam, slow) = match state {
            Some(state) => (Some(state.adam), state.slow),
            None => (None, fast.clone()),
        };
        let (fast, adam) = self.adam.step(learning_rate, fast, gradient, adam);
        let Some(adam) = adam else { return (fast, None) };
        if !adam.momentum.time.is_multiple_of(K as usize) {
            return (fast, Some(LookaheadState { adam, slow }));
        }
        let slow = slow.clone() + (fast - slow) * ALPHA;
        (slow.clone(), Some(LookaheadState { adam, slow }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        LookaheadState { adam: Adam::to_device(state.adam, device), slow: state.slow.to_device(device) }
    }
}

/// By hand, since Burn's derive names its own crate's items.
impl<const D: usize> RecordState for LookaheadState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        self.adam.state_flatten(&join_path(prefix, "adam"), out);
        out.push_tensor(prefix, "slow", self.slow.to_data());
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        let adam = AdamState::state_unflatten(&join_path(prefix, "adam"), source, device)?;
        Some(Self { adam, slow: Tensor::from_data(source.take_tensor(prefix, "slow")?, device) })
    }
}
