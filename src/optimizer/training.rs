//! An optimizer at work: steps, syncs and swaps, recorded into the caller's encoder.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

#[cfg(doc)]
use crate::config::accumulate::Accumulation;
use crate::{
    engine::{Engine, slice::Slice},
    error::{Error, list},
    plan::{Plan, Swapped, event::Event, foresight::Foresight, placement::Placement, recording::Recording},
};

/// An optimizer over named tensors: a rule, with Lookahead around it or alone.
///
/// All calls record or enqueue, and return at once. None waits but the downloads and what is called blocking, and none
/// submits but these, [`import`](Self::import) and [`import_weights`](Self::import_weights).
///
/// # Buffers
///
/// What the optimizer gives out may be bound, copied from and written with these usages, and no other:
///
/// | call | usages | what may be written |
/// |---|---|---|
/// | [`weights`](Self::weights), [`slow_weights`](Self::slow_weights), [`half_weights`](Self::half_weights), [`average`](Self::average) | `STORAGE`, `COPY_SRC`, `COPY_DST` | weights, by [`upload`](Self::upload) at best, which writes the copies along |
/// | [`gradients`](Self::gradients), [`curvature`](Self::curvature), [`snapshot_gradients`](Self::snapshot_gradients), [`full_gradients`](Self::full_gradients) | `STORAGE`, `COPY_SRC`, `COPY_DST` | all, before each step |
/// | [`loss_scale`](Self::loss_scale) | `STORAGE`, `COPY_SRC`, `COPY_DST` | nothing |
/// | [`gradient_norms`](Self::gradient_norms), [`alphas`](Self::alphas), [`accelerations`](Self::accelerations) | `STORAGE`, `COPY_SRC` | nothing |
///
/// None is `UNIFORM`, `VERTEX` or mappable: copy to a buffer of your own for that. Of borrowed tensors the weights'
/// buffers need `STORAGE` (with `COPY_SRC` to be downloaded and exported, and `COPY_DST` to be uploaded and imported), and
/// the gradients' `STORAGE` alone.
pub struct Optimizer<
    #[cfg(feature = "wgpu")] E: Engine = crate::gpu::Wgpu,
    #[cfg(not(feature = "wgpu"))] E: Engine,
> {
    pub(crate) plan: Plan,
    pub(crate) engine: E,
    /// One slice a tensor, where weights are borrowed.
    pub(crate) borrowed: Option<Vec<Slice<E::Buffer>>>,
    /// The placement over our own buffers; where weights are borrowed, over the weights alone.
    pub(super) own: Arc<Gradients<E>>,
    /// Differs between any two optimizers of a process, and from before the weights moved.
    pub(super) id: u64,
    /// Used again by every call.
    pub(super) event: Event,
    pub(super) recording: Recording,
    pub(super) foresight: Foresight,
}

/// Where the gradients of borrowed tensors lie; [`Optimizer::borrow_gradients`] makes one. Several may be
/// used in turn.
#[derive(Debug)]
pub struct Gradients<
    #[cfg(feature = "wgpu")] E: Engine = crate::gpu::Wgpu,
    #[cfg(not(feature = "wgpu"))] E: Engine,
> {
    /// The optimizer's.
    id: u64,
    /// Tensors that have none, since they were frozen.
    missing: Vec<usize>,
    placement: Placement,
    placed: E::Placed,
}

impl<E: Engine> Gradients<E> {
    /// `missing`: tensors that have none.
    pub(super) fn new(id: u64, missing: Vec<usize>, placement: Placement, placed: E::Placed) -> Self {
        Self { id, missing, placement, placed }
    }

    /// How many dispatches a step over them is, those of reductions and of the guard aside.
    pub fn dispatches(&self) -> usize {
        self.placement.runs.len()
    }
}

/// One that no optimizer has had.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<E: Engine> std::fmt::Debug for Optimizer<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Optimizer").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<E: Engine> Optimizer<E> {
    /// Records one inner step of every group, with the sync in it where a cycle ends.
    ///
    /// Everything recorded earlier in `encoder` comes before it, and what the steps of many encoders do
    /// does not depend on where one ends and the next begins. Encoders must be submitted in the order of
    /// their steps. A step takes 512 bytes a group of the device's memory until it is done
    /// ([`Memory::controls`](crate::Memory::controls)).
    ///
    /// # Errors
    ///
    /// [`Error::LearningRate`] where the schedule gives none, [`Error::Rule`] where what the rule tells of this step
    /// (hyperparameters, a second moment) or the outer step's coefficients cannot be used, [`Error::Swapped`] between
    /// two [`swap_slow`](Self::swap_slow), [`Error::Unsupported`] where gradients are borrowed. Nothing was
    /// recorded or counted then.
    pub fn step(&mut self, encoder: &mut E::Encoder) -> Result<(), Error> {
        if self.plan.is_borrowed {
            return Err(Error::Unsupported {
                call: "step",
                problem: "has no gradients of its own for borrowed tensors; call `step_with`",
            });
        }
        let own = self.own.clone();
        self.record_step(encoder, &own)
    }

    /// [`Self::step`] with borrowed gradients.
    ///
    /// # Errors
    ///
    /// As [`Self::step`], and [`Error::MissingGradients`] where they lack those of tensors that were frozen when they
    /// were borrowed and are not any more.
    pub fn step_with(&mut self, encoder: &mut E::Encoder, gradients: &Gradients<E>) -> Result<(), Error> {
        if !self.plan.is_borrowed {
            return Err(Error::Unsupported {
                call: "step_with",
                problem: "is for borrowed tensors; these are the optimizer's own: call `step`",
            });
        }
        if gradients.id != self.id {
            return Err(Error::Unsupported {
                call: "step_with",
                problem: "was given gradients that another optimizer borrowed, or this one before its weights lay elsewhere",
            });
        }
        let tensors = gradients.missing.iter().map(|tensor| &self.plan.layout.tensors[*tensor]);
        let train = tensors.filter(|tensor| !self.plan.state.groups[tensor.group].frozen);
        let mut names = train.map(|tensor| tensor.name.as_str()).peekable();
        if names.peek().is_some() {
            return Err(Error::MissingGradients { tensors: list(names) });
        }
        self.record_step(encoder, gradients)
    }

    fn record_step(&mut self, encoder: &mut E::Encoder, gradients: &Gradients<E>) -> Result<(), Error> {
        self.plan.check_not_swapped("step")?;
        if self.plan.accumulates(&mut self.event) {
            self.play(encoder, gradients)?;
            self.plan.accumulated();
            return Ok(());
        }
        self.take_step(encoder, gradients, None)
    }

    /// Takes the step that an [accumulation](Accumulation) of micro-batches has not enough of yet, with those that are
    /// there: their mean or their sum. At the end of an epoch, say. What lies in the gradients is not looked at. Returns
    /// whether there was a step to take: without a micro-batch nothing is recorded.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn flush(&mut self, encoder: &mut E::Encoder) -> Result<bool, Error> {
        self.plan.check_not_swapped("flush")?;
        if self.plan.state.accumulated == 0 {
            return Ok(false);
        }
        let own = self.own.clone();
        self.take_step(encoder, &own, Some(self.plan.state.accumulated))?;
        Ok(true)
    }

    /// Forgets the micro-batches that were accumulated for the next step, and returns how many there were.
    pub fn discard(&mut self) -> u32 {
        std::mem::take(&mut self.plan.state.accumulated)
    }

    /// `flushed`: how many micro-batches were accumulated, where the step has no other.
    fn take_step(
        &mut self,
        encoder: &mut E::Encoder,
        gradients: &Gradients<E>,
        flushed: Option<u32>,
    ) -> Result<(), Error> {
        let factor = self.plan.checked_factor()?;
        if self.plan.guard.is_some() {
            self.start(encoder)?;
        }
        self.plan.next_step(factor, flushed, &mut self.event);
        self.play(encoder, gradients)?;
        self.plan.step_taken(&self.event);
        Ok(())
    }

    /// Seeds slow weights and average by themselves, where a step that may be skipped cannot.
    fn start(&mut self, encoder: &mut E::Encoder) -> Result<(), Error> {
        if self.plan.starts(&mut self.event)? {
            self.play_own(encoder)?;
            self.plan.started();
        }
        Ok(())
    }

    /// Records the event at hand over these gradients.
    fn play(&mut self, encoder: &mut E::Encoder, gradients: &Gradients<E>) -> Result<(), Error> {
        self.plan.record(&self.event, &gradients.placement, &mut self.recording)?;
        let Self { plan, engine, event, recording, foresight, .. } = self;
        let foresee = |most, words: &mut Vec<u8>| plan.foresee(event, most, foresight, words);
        engine.play(recording, &gradients.placed, encoder, foresee)?;
        self.plan.recorded(&self.event);
        Ok(())
    }

    /// [`Self::play`] where no gradient is read.
    fn play_own(&mut self, encoder: &mut E::Encoder) -> Result<(), Error> {
        let own = self.own.clone();
        self.play(encoder, &own)
    }

    /// Synchronises now and begins the next cycle: at the end of training, say. An adaptive alpha has no gradient
    /// then, and the fixed one is taken, as it is where Anderson acceleration lacks the rest of the cycle's iterates. Groups
    /// without Lookahead are left alone, and so are those that have taken no step since their last sync: nothing has moved
    /// there, so that two calls in a row do what one does. A round of [tasks](crate::Lookahead::tasks) ends with those that
    /// there are, the one under way among them as far as it came.
    ///
    /// # Errors
    ///
    /// [`Error::NoLookahead`], [`Error::Swapped`], [`Error::LearningRate`].
    pub fn sync_now(&mut self, encoder: &mut E::Encoder) -> Result<(), Error> {
        self.sync_at(self.plan.state.steps, "sync_now", &[], encoder)
    }

    /// [`sync_now`](Self::sync_now) as the last step's own sync would have been: at that step's learning rate, which
    /// [`SlowMo`](crate::outer::SlowMo) divides by, where `sync_now` takes the next step's. With a period that no cycle
    /// reaches, k = `u32::MAX`, syncs come where this is called and nowhere else, and between a cycle's last step and its
    /// sync there is room for something else: the mean of the fast weights over several workers, say. Without that
    /// something a run has the same bits as with the sync in the step, but for an [average](crate::average), which takes
    /// in the weights of each step before this, and for an adaptive alpha and Anderson acceleration, in whose place the fixed
    /// alpha is taken.
    ///
    /// # Errors
    ///
    /// As [`sync_now`](Self::sync_now).
    pub fn sync_last_step(&mut self, encoder: &mut E::Encoder) -> Result<(), Error> {
        self.sync_at(self.plan.state.steps.saturating_sub(1), "sync_last_step", &[], encoder)
    }

    /// [`sync_last_step`](Self::sync_last_step) of these groups alone; the others go on in their cycles. For parts of a model
    /// that are synchronised at different steps, as where workers exchange one part after the other (streaming DiLoCo,
    /// [Douillard et al., 2025](https://arxiv.org/abs/2501.18512)).
    ///
    /// # Errors
    ///
    /// As [`sync_now`](Self::sync_now); [`Error::UnknownName`].
    pub fn sync_last_step_of(
        &mut self,
        groups: &[impl AsRef<str>],
        encoder: &mut E::Encoder,
    ) -> Result<(), Error> {
        let mut left = vec![true; self.plan.state.groups.len()];
        for group in groups.iter().map(AsRef::as_ref) {
            left[self.plan.group_index(group)?] = false;
        }
        self.sync_at(self.plan.state.steps.saturating_sub(1), "sync_last_step_of", &left, encoder)
    }

    /// A sync between steps, at the learning rate of this one, of all groups that are not left.
    fn sync_at(
        &mut self,
        step: u64,
        call: &'static str,
        left: &[bool],
        encoder: &mut E::Encoder,
    ) -> Result<(), Error> {
        self.plan.check_lookahead()?;
        self.plan.check_not_swapped(call)?;
        let factor = self.plan.check_factor_of(&self.plan.state.schedule, step)?;
        if self.plan.guard.is_some() {
            self.start(encoder)?;
        }
        self.plan.sync_now(factor, left, &mut self.event);
        self.play_own(encoder)?;
        self.plan.synced(&self.event);
        Ok(())
    }

    /// What follows the weights starts again from them: the slow weights as their copy with the outer step's buffers at
    /// zero and a new cycle (of [tasks](crate::Lookahead::tasks), a new round), and an [average](crate::average) as if this
    /// were its step 0. To be called after weights were loaded or written once training has begun: else the slow weights
    /// would pull them back, and the average would remember the old ones. The rule's state is kept. The first step does
    /// this by itself.
    ///
    /// # Errors
    ///
    /// [`Error::NoLookahead`] where there are neither slow weights nor an average; [`Error::Swapped`].
    pub fn init_synced(&mut self, encoder: &mut E::Encoder) -> Result<(), Error> {
        if self.plan.options.average.is_none() {
            self.plan.check_lookahead()?;
        }
        self.plan.check_not_swapped("init_synced")?;
        self.plan.init_synced(&mut self.event);
        self.play_own(encoder)?;
        self.plan.synced_anew();
        Ok(())
    }

    /// Begins the [average](crate::average) anew with the next step, which is its step 0; until then it is a copy of the
    /// weights as they are now. Nothing else changes: cycles go on where they are, which [`init_synced`](Self::init_synced)
    /// begins anew. For averages that begin when something has come to pass, as
    /// [`NonMonotone`](crate::average::NonMonotone) tells it.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] where no average is kept; [`Error::Swapped`].
    pub fn begin_average(&mut self, encoder: &mut E::Encoder) -> Result<(), Error> {
        self.plan.check_average("begin_average")?;
        self.plan.check_not_swapped("begin_average")?;
        self.plan.begin_average(&mut self.event);
        self.play_own(encoder)?;
        self.plan.average_begun();
        Ok(())
    }

    /// Exchanges fast and slow weights in place, so that kernels bound to the weights evaluate the slow
    /// ones. Call it again before the next step. No memory is needed, and no bit of either is lost.
    ///
    /// # Errors
    ///
    /// [`Error::NoLookahead`]; [`Error::Swapped`] while the average is in the weights' place;
    /// [`Error::Unsupported`] where the slow weights are bf16, which would lose bits.
    pub fn swap_slow(&mut self, encoder: &mut E::Encoder) -> Result<(), Error> {
        self.plan.check_lookahead()?;
        if self.plan.options.slow_bf16 {
            return Err(Error::Unsupported {
                call: "swap_slow",
                problem: "would round the fast weights to bf16; bind `slow_weights` instead",
            });
        }
        if self.plan.state.swapped == Some(Swapped::Average) {
            return Err(Error::Swapped { call: "swap_slow" });
        }
        if self.plan.state.groups.iter().any(|group| group.cycle.init) {
            self.init_synced(encoder)?;
        }
        self.swap(encoder, Swapped::Slow)
    }

    /// Exchanges weights and average in place, as [`swap_slow`](Self::swap_slow) does with the slow weights.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] where no average is kept; [`Error::Swapped`] while the slow weights are in the
    /// weights' place.
    pub fn swap_average(&mut self, encoder: &mut E::Encoder) -> Result<(), Error> {
        self.plan.check_average("swap_average")?;
        if self.plan.state.swapped == Some(Swapped::Slow) {
            return Err(Error::Swapped { call: "swap_average" });
        }
        if self.plan.state.steps == 0 && self.plan.state.swapped.is_none() {
            self.start(encoder)?;
        }
        self.swap(encoder, Swapped::Average)
    }

    /// Records what `record` does with the slow weights in the weights' place: they are exchanged before it and back after
    /// it, also where it panics or returns early. It is given the encoder.
    ///
    /// ```
    /// # fn main() -> Result<(), lookahead_wgpu::Error> {
    /// # use lookahead_wgpu::{Lookahead, Optimizer, gpu::Gpu, rules::Adam};
    /// # let gpu = Gpu::open_blocking(None)?;
    /// # let builder = Optimizer::builder(Adam::new(1e-3)).lookahead(Lookahead::default());
    /// # let mut optimizer = builder.tensor("w", &[64]).build_blocking(&gpu.device, &gpu.queue)?;
    /// let mut encoder = gpu.device.create_command_encoder(&Default::default());
    /// optimizer.with_slow(&mut encoder, |encoder| {
    ///     // ... record kernels bound to the weights: they read the slow ones ...
    ///     # let _ = encoder;
    /// })?;
    /// gpu.queue.submit([encoder.finish()]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`swap_slow`](Self::swap_slow); [`Error::Swapped`] where they are exchanged already. Nothing was recorded then.
    pub fn with_slow<T>(
        &mut self,
        encoder: &mut E::Encoder,
        record: impl FnOnce(&mut E::Encoder) -> T,
    ) -> Result<T, Error> {
        self.plan.check_not_swapped("with_slow")?;
        self.swap_slow(encoder)?;
        let exchanged = Exchanged { optimizer: self, encoder, what: Swapped::Slow };
        Ok(record(&mut *exchanged.encoder))
    }

    /// [`with_slow`](Self::with_slow) with the average.
    ///
    /// # Errors
    ///
    /// As [`swap_average`](Self::swap_average); [`Error::Swapped`] where weights are exchanged already.
    pub fn with_average<T>(
        &mut self,
        encoder: &mut E::Encoder,
        record: impl FnOnce(&mut E::Encoder) -> T,
    ) -> Result<T, Error> {
        self.plan.check_not_swapped("with_average")?;
        self.swap_average(encoder)?;
        let exchanged = Exchanged { optimizer: self, encoder, what: Swapped::Average };
        Ok(record(&mut *exchanged.encoder))
    }

    fn swap(&mut self, encoder: &mut E::Encoder, what: Swapped) -> Result<(), Error> {
        self.plan.record_swap(what, &self.own.placement, &mut self.recording);
        self.engine.play(&self.recording, &self.own.placed, encoder, |_, _| ())?;
        self.plan.swapped(what);
        Ok(())
    }
}

/// Weights that are exchanged back when this is dropped.
struct Exchanged<'a, E: Engine> {
    optimizer: &'a mut Optimizer<E>,
    encoder: &'a mut E::Encoder,
    what: Swapped,
}

impl<E: Engine> Drop for Exchanged<'_, E> {
    fn drop(&mut self) {
        // A swap tells nothing, so that there is nothing that could be refused.
        let _ = self.optimizer.swap(self.encoder, self.what);
    }
}
