//! Interpolation of every tensor of an optimizer's state.

use std::any::Any;

use burn::{
    optim::{
        AdafactorState, AdamState, AdamWState, AdanState, AdaptiveMomentumState, LambState, LionState,
        MuonState, RecordState, SgdState, StateSink, StateSource,
        momentum::{Momentum, MomentumConfig, MomentumState},
    },
    tensor::{Tensor, TensorData},
};

/// The state whose every tensor is `slow + alpha (fast - slow)`, slow being zero where there is none yet. What is not a
/// tensor, as the step count, is the fast state's. `like` has the parameter's shape and device.
pub(super) fn interpolate<const D: usize, S: RecordState + Clone>(
    mut fast: S,
    slow: Option<S>,
    alpha: f64,
    like: &Tensor<D>,
) -> S {
    let by_kind = [
        on_device::<D, AdamState<D>>,
        on_device::<D, AdamWState<D>>,
        on_device::<D, SgdState<D>>,
        on_device::<D, AdafactorState<D>>,
        on_device::<D, AdanState<D>>,
        on_device::<D, LambState<D>>,
        on_device::<D, LionState<D>>,
        on_device::<D, MuonState<D>>,
    ];
    let slow_any = slow.as_ref().map(|slow| slow as &dyn Any);
    let is_known = by_kind.iter().any(|interpolate| interpolate(&mut fast, slow_any, alpha, like));
    if is_known { fast } else { on_host(fast, slow, alpha, like) }
}

/// A state whose tensors can be got at.
trait Slots<const D: usize>: Clone + 'static {
    /// Replaces each, in an order in which those that may be missing come last.
    fn replace(&mut self, like: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>);
}

/// Whether `fast` is of this kind, and so has been interpolated.
fn on_device<const D: usize, S: Slots<D>>(
    fast: &mut dyn Any,
    slow: Option<&dyn Any>,
    alpha: f64,
    like: &Tensor<D>,
) -> bool {
    let Some(fast) = fast.downcast_mut::<S>() else { return false };
    let mut slow_slots = Vec::new();
    if let Some(mut slow) = slow.and_then(|slow| slow.downcast_ref::<S>()).cloned() {
        slow.replace(like, &mut |slot| {
            slow_slots.push(slot.clone());
            slot
        });
    }
    let mut slow_slots = slow_slots.into_iter();
    fast.replace(like, &mut |fast| match slow_slots.next() {
        Some(slow) => slow.clone() + (fast - slow) * alpha,
        None => fast * alpha,
    });
    true
}

fn replace<const D: usize>(slot: &mut Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
    *slot = with(slot.clone());
}

impl<const D: usize> Slots<D> for AdaptiveMomentumState<D> {
    fn replace(&mut self, _: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
        replace(&mut self.moment_1, with);
        replace(&mut self.moment_2, with);
        self.max_moment_2 = self.max_moment_2.take().map(with);
    }
}

impl<const D: usize> Slots<D> for AdamState<D> {
    fn replace(&mut self, like: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
        self.momentum.replace(like, with);
    }
}

impl<const D: usize> Slots<D> for AdamWState<D> {
    fn replace(&mut self, like: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
        self.momentum.replace(like, with);
    }
}

impl<const D: usize> Slots<D> for MomentumState<D> {
    fn replace(&mut self, like: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
        // The velocity is private. A step with a momentum of 1 and no gradient gives it.
        let config = MomentumConfig::new().with_momentum(1.0).with_dampening(0.0);
        let (velocity, _) = Momentum::new(&config).transform(like.zeros_like(), Some(self.clone()));
        *self = MomentumState::new(with(velocity));
    }
}

impl<const D: usize> Slots<D> for SgdState<D> {
    fn replace(&mut self, like: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
        if let Some(momentum) = &mut self.momentum {
            momentum.replace(like, with);
        }
    }
}

impl<const D: usize> Slots<D> for MuonState<D> {
    fn replace(&mut self, like: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
        self.momentum.replace(like, with);
    }
}

impl<const D: usize> Slots<D> for AdafactorState<D> {
    fn replace(&mut self, _: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
        replace(&mut self.second_moment, with);
        self.column_second_moment = self.column_second_moment.take().map(with);
    }
}

impl<const D: usize> Slots<D> for AdanState<D> {
    fn replace(&mut self, _: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
        let momentum = &mut self.momentum;
        replace(&mut momentum.exp_avg, with);
        replace(&mut momentum.exp_avg_sq, with);
        replace(&mut momentum.exp_avg_diff, with);
        replace(&mut momentum.neg_pre_grad, with);
    }
}

impl<const D: usize> Slots<D> for LambState<D> {
    fn replace(&mut self, _: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
        replace(&mut self.moment_1, with);
        replace(&mut self.moment_2, with);
    }
}

impl<const D: usize> Slots<D> for LionState<D> {
    fn replace(&mut self, _: &Tensor<D>, with: &mut dyn FnMut(Tensor<D>) -> Tensor<D>) {
        replace(&mut self.momentum, with);
    }
}

/// Any state, by way of its record.
fn on_host<const D: usize, S: RecordState + Clone>(
    fast: S,
    slow: Option<S>,
    alpha: f64,
    like: &Tensor<D>,
) -> S {
    // Names in a record are paths below the parameter.
    const PREFIX: &str = "state";
    let flatten = |state: &S| {
        let mut sink = StateSink::default();
        state.state_flatten(PREFIX, &mut sink);
        sink
    };
    let slow = slow.as_ref().map(flatten).unwrap_or_default();
    let StateSink { tensors, scalars } = flatten(&fast);
    let mut source = StateSource::new(scalars.into_iter().collect());
    for (name, tensor) in tensors {
        let slow = slow.tensors.iter().find(|(other, _)| *other == name).map(|(_, slow)| slow);
        let tensor = if tensor.dtype().is_float() { blend(&tensor, slow, alpha) } else { tensor };
        source.insert_tensor(name, tensor);
    }
    // A state that is not rebuilt from its own record would not survive a checkpoint either.
    S::state_unflatten(PREFIX, &mut source, &like.device()).unwrap_or(fast)
}

fn blend(fast: &TensorData, slow: Option<&TensorData>, alpha: f64) -> TensorData {
    let slow = slow.map(|slow| slow.iter::<f64>().collect::<Vec<_>>());
    let slow_at = |place: usize| slow.as_ref().and_then(|slow| slow.get(place)).copied().unwrap_or(0.0);
    let blended = fast.iter::<f64>().enumerate();
    let blended = blended.map(|(place, fast)| slow_at(place) + alpha * (fast - slow_at(place)));
    TensorData::new(blended.collect::<Vec<_>>(), fast.shape().clone()).convert_dtype(fast.dtype())
}
