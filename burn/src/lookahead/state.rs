//! What Lookahead keeps of a parameter, and its form in Burn's records.

use burn::{
    optim::{RecordState, StateSink, StateSource, join_path},
    tensor::{Device, Tensor},
};

/// The state of [`Lookahead`](crate::Lookahead) for one parameter, around the inner optimizer's state `S`.
#[derive(Clone)]
pub struct LookaheadState<S, const D: usize> {
    pub(super) inner: Option<S>,
    pub(super) slow: Tensor<D>,
    /// With the policy that interpolates, from the first sync on.
    pub(super) slow_inner: Option<S>,
    /// Inner steps since the last sync.
    pub(super) position: u32,
}

impl<S, const D: usize> LookaheadState<S, D> {
    /// Before the first step, at these weights.
    pub(super) fn new(slow: Tensor<D>) -> Self {
        Self { inner: None, slow, slow_inner: None, position: 0 }
    }
}

/// By hand, since Burn's derive names its own crate's items.
impl<S: RecordState, const D: usize> RecordState for LookaheadState<S, D> {
    fn state_flatten(&self, prefix: &str, sink: &mut StateSink) {
        sink.push_tensor(prefix, "slow", self.slow.to_data());
        sink.push_scalar(prefix, "position", self.position.into());
        for (name, inner) in [("inner", &self.inner), ("slow_inner", &self.slow_inner)] {
            // That it is there is written down, too: the state of SGD without momentum is there and has no tensors.
            sink.push_scalar(prefix, &format!("has_{name}"), inner.is_some().into());
            if let Some(inner) = inner {
                inner.state_flatten(&join_path(prefix, name), sink);
            }
        }
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        let slow = Tensor::from_data(source.take_tensor(prefix, "slow")?, device);
        let position = source.take_scalar(prefix, "position")?.try_into().ok()?;
        let mut nested = |name: &str| -> Option<Option<S>> {
            let is_there = source.take_scalar(prefix, &format!("has_{name}"))?.try_into().ok()?;
            let path = join_path(prefix, name);
            Some(if is_there { Some(S::state_unflatten(&path, source, device)?) } else { None })
        };
        Some(Self { inner: nested("inner")?, slow_inner: nested("slow_inner")?, slow, position })
    }
}
