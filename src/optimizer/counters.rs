//! How far training is: on the host, or where a guard may skip steps, on the GPU.

use super::training::Optimizer;
use crate::{
    config::{lookahead::Lookahead, precision::decode},
    engine::{Buffer, Engine, slice::Slice, transfer::copy_back},
    error::Error,
    layout::guard_state::{Cycle, GuardState},
    plan::group::GroupState,
};

/// How far training is.
#[derive(Debug, Clone, PartialEq)]
pub struct Counters {
    /// Steps taken, over all cycles.
    pub steps: u64,
    /// Steps that a guard skipped.
    pub skipped: u64,
    /// The loss scale, 1 without loss scaling.
    pub loss_scale: f32,
    /// Finite steps in a row since the loss scale changed.
    pub since_rescaled: u32,
    /// For each group, in the order of [`Optimizer::groups`].
    pub groups: Vec<GroupCounters>,
}

/// How far a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCounters {
    /// Inner steps since the state was last initialised.
    pub count: u64,
    /// Steps since the last sync; of a round of several tasks, since the task under way began.
    pub position: u32,
    /// Which task of its round the next step belongs to, from 0 to [`tasks`](crate::Lookahead::tasks) - 1.
    pub task: u32,
}

impl<E: Engine> Optimizer<E> {
    /// How far training is, once everything submitted so far is done. With a guard this is a readback, which ends by
    /// itself as a [`download`](Self::download) does, though no step waits for it.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub async fn counters(&self) -> Result<Counters, Error> {
        let guard_state = match &self.plan.guard {
            Some(guard) => {
                let guard_state = Slice::whole(self.engine.buffer(guard.state));
                GuardState::from_bytes(&copy_back(&self.engine, [guard_state].into_iter()).await?)
            }
            None => self.host_state(),
        };
        Ok(self.counted(guard_state))
    }

    /// What a guard's state tells, whose positions are those of rounds.
    fn counted(&self, guard_state: GuardState) -> Counters {
        let groups = self.plan.state.groups.iter().zip(guard_state.groups.iter().zip(&guard_state.cycles));
        let groups = groups.map(|(group, (&(count, position), cycle))| {
            let (task, position) = split(group.lookahead.as_ref(), cycle.k, position);
            GroupCounters { count, position, task }
        });
        Counters {
            steps: guard_state.steps,
            skipped: guard_state.skipped,
            loss_scale: guard_state.scale,
            since_rescaled: guard_state.tracker,
            groups: groups.collect(),
        }
    }

    /// [`Self::counters`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::counters`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn counters_blocking(&self) -> Result<Counters, Error> {
        pollster::block_on(self.counters())
    }

    /// What a guard's state would hold, where there is none.
    pub(crate) fn host_state(&self) -> GuardState {
        let groups =
            self.plan.state.groups.iter().map(|group| (group.cycle.count, group.cycle.position)).collect();
        GuardState {
            steps: self.plan.state.steps,
            skipped: 0,
            tracker: 0,
            scale: 1.0,
            unscale: 1.0,
            average_start: self.plan.state.average_start,
            groups,
            cycles: self.plan.state.groups.iter().map(|group| Cycle::of(group.lookahead.as_ref())).collect(),
            kept: self.plan.state.groups.iter().map(GroupState::kept).collect(),
        }
    }

    /// The adaptive alphas of the last sync that the device has done, one for the model, or one a group or tensor,
    /// in their order; none where the fixed one was taken. Empty without an adaptive alpha.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub async fn download_alphas(&self) -> Result<Vec<Option<f32>>, Error> {
        let Some(buffer) = self.alphas() else { return Ok(vec![]) };
        let len = (buffer.bytes() / 4) as usize;
        let reading = copy_back(&self.engine, [Slice::whole(buffer)].into_iter());
        Ok(alphas(&decode(&reading.await?, len, None)))
    }

    /// [`Self::download_alphas`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::download_alphas`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download_alphas_blocking(&self) -> Result<Vec<Option<f32>>, Error> {
        pollster::block_on(self.download_alphas())
    }

    /// The coefficients of [Anderson acceleration](crate::anderson) at the last sync that the device has done: m for the
    /// model, or for each group or tensor, in their order, those of the oldest residual first; none where the fixed step was
    /// taken for want of any. A sync between steps leaves them as they are. Empty without Anderson acceleration.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub async fn download_accelerations(&self) -> Result<Vec<Option<Vec<f32>>>, Error> {
        let Some(buffer) = self.accelerations() else { return Ok(vec![]) };
        let len = (buffer.bytes() / 4) as usize;
        let reading = copy_back(&self.engine, [Slice::whole(buffer)].into_iter());
        let found = decode(&reading.await?, len, None);
        let coefficients = |of: &[f32]| of.iter().any(|value| *value != 0.0).then(|| of.to_vec());
        Ok(found.chunks_exact(self.plan.options.columns().max(1) as usize).map(coefficients).collect())
    }

    /// [`Self::download_accelerations`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::download_accelerations`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download_accelerations_blocking(&self) -> Result<Vec<Option<Vec<f32>>>, Error> {
        pollster::block_on(self.download_accelerations())
    }
}

impl<E: Engine> Optimizer<E> {
    /// The norm of the gradient at the last step submitted before this call: one value for the whole model (all
    /// tensors that are not frozen), or with [`Clip::TensorNorm`](crate::Clip::TensorNorm) one a tensor, in the
    /// order of [`tensors`](Self::tensors) (0 for frozen ones). It is the norm of what is clipped: after the mean over
    /// micro-batches, the division by the loss scale and centralisation, before clipping and weight decay. Infinite or NaN
    /// where a gradient is, also where a guard has skipped that step; 0 before the first step. f64, since
    /// the norm of what f32 holds may be beyond f32 itself. Empty where no norm is taken: build with
    /// [`gradient_norms`](crate::Builder::gradient_norms).
    ///
    /// The copy is begun by the call, and steps go on while it is under way: `examples/norms` logs a norm every ten steps
    /// without waiting for one.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub fn download_gradient_norms(&self) -> impl Future<Output = Result<Vec<f64>, Error>> + use<E> {
        let reading = self.gradient_norms().map(|buffer| {
            let len = (buffer.bytes() / 4) as usize;
            (copy_back(&self.engine, [Slice::whole(buffer)].into_iter()), len)
        });
        async move {
            match reading {
                None => Ok(vec![]),
                Some((reading, len)) => Ok(norms(&decode(&reading.await?, len, None))),
            }
        }
    }

    /// [`Self::download_gradient_norms`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::download_gradient_norms`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download_gradient_norms_blocking(&self) -> Result<Vec<f64>, Error> {
        pollster::block_on(self.download_gradient_norms())
    }
}

/// Norms from what `shaders/measures/norm.wgsl` leaves.
fn norms(results: &[f32]) -> Vec<f64> {
    let norm = |result: &[f32]| match result[1] {
        wrong if wrong >= 2.0 => f64::NAN,
        wrong if wrong > 0.0 => f64::INFINITY,
        power => f64::from(result[0]) * f64::from(-power).exp2(),
    };
    results.chunks_exact(2).map(norm).collect()
}

fn alphas(results: &[f32]) -> Vec<Option<f32>> {
    results.chunks_exact(2).map(|result| (result[0] > 0.0).then_some(result[0])).collect()
}

/// The task, from 0, and the position in it, of a position in a round whose tasks are of k steps.
pub(super) fn split(lookahead: Option<&Lookahead>, k: u32, position: u32) -> (u32, u32) {
    if lookahead.is_some_and(Lookahead::has_tasks) { (position / k, position % k) } else { (0, position) }
}
