//! What can be read and changed while an optimizer is at work.

use super::{counters::split, training::Optimizer};
use crate::{
    config::{alpha::GradientAt, group::check_factor, lookahead::Lookahead},
    engine::{Engine, slice::Slice},
    error::{Error, check_hyperparameter},
    kernels::Measure,
    layout::params::guard_state,
    plan::{Memory, Traffic},
};

impl<E: Engine> Optimizer<E> {
    /// Steps recorded, over all cycles: what the schedule is asked with. With a guard, those that it skips are
    /// counted too; [`counters`](Self::counters) tells how many were taken.
    pub fn steps(&self) -> u64 {
        self.plan.state.steps
    }

    /// Inner steps of a group since its state was last initialised: the t of bias corrections.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`]; [`Error::Guarded`] where a guard counts on the GPU.
    pub fn step_count(&self, group: &str) -> Result<u64, Error> {
        self.check_unguarded("step_count")?;
        Ok(self.plan.group(group)?.cycle.count)
    }

    /// Steps of a group since its last sync, from 0 to k - 1 (to k with an adaptive alpha whose gradient is
    /// taken at theta_k). At 0 fast and slow weights are equal, but for the rounding of bf16 and for a rule that is
    /// [anchored](crate::Rule::anchored). Of a round of several [tasks](Lookahead::tasks), steps since its task under way
    /// began.
    ///
    /// # Errors
    ///
    /// As [`Self::step_count`].
    pub fn position(&self, group: &str) -> Result<u32, Error> {
        self.check_unguarded("position")?;
        Ok(self.place_in_round(group)?.1)
    }

    /// Which [task](Lookahead::tasks) of its round a group's next step belongs to, from 0 to n - 1: whose gradients it is to
    /// be given. 0 without Lookahead.
    ///
    /// # Errors
    ///
    /// As [`Self::step_count`]; with a guard [`counters`](Self::counters) tells it.
    pub fn task(&self, group: &str) -> Result<u32, Error> {
        self.check_unguarded("task")?;
        Ok(self.place_in_round(group)?.0)
    }

    fn place_in_round(&self, group: &str) -> Result<(u32, u32), Error> {
        let group = self.plan.group(group)?;
        let lookahead = group.lookahead.as_ref();
        Ok(split(lookahead, lookahead.map_or(1, |lookahead| lookahead.k), group.cycle.position))
    }

    /// Whether the slow weights are others than at the last step or micro-batch, so that with
    /// [variance reduction](crate::variance_reduction) the gradient of the whole objective is to be written anew into
    /// [`full_gradients`](Self::full_gradients) before the next one: at the start of training, after a sync of any group (its
    /// tensors are a part of the weights at which all gradients are taken), and after
    /// [`init_synced`](Self::init_synced).
    ///
    /// # Errors
    ///
    /// [`Error::NoLookahead`]; [`Error::Guarded`] where a guard may have skipped steps: there a group's position in
    /// [`counters`](Self::counters) is 0 at the start of its cycle.
    pub fn full_gradients_due(&self) -> Result<bool, Error> {
        self.plan.check_lookahead()?;
        self.check_unguarded("full_gradients_due")?;
        Ok(self.plan.state.slow_weights_moved)
    }

    /// Refuses what a guard cannot follow: with the policy reset, or with an adaptive alpha whose gradient is taken
    /// at theta_k, the counts that the host tells it go in cycles, and must go in the GPU's.
    fn check_lockstep(&self, group: &str, call: &'static str) -> Result<(), Error> {
        let resets = self.plan.group(group)?.resets();
        let synchronised = self.plan.options.adaptive.map(|it| it.gradient) == Some(GradientAt::Synchronised);
        if resets || synchronised { self.check_unguarded(call) } else { Ok(()) }
    }

    fn check_unguarded(&self, call: &'static str) -> Result<(), Error> {
        if self.plan.guard.is_some() { Err(Error::Guarded { call }) } else { Ok(()) }
    }

    /// A group's k, alpha and policy; none for the rule alone.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn lookahead(&self, group: &str) -> Result<Option<Lookahead>, Error> {
        Ok(self.plan.group(group)?.lookahead)
    }

    /// The learning rate that a group's next step will have; with a guard, if no step has been skipped.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn learning_rate(&self, group: &str) -> Result<f64, Error> {
        let factor = self.plan.state.schedule.factor(self.plan.state.steps);
        Ok(self.plan.group(group)?.learning_rate_at(factor))
    }

    /// The names of the groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.plan.state.groups.iter().map(|group| group.name.as_str())
    }

    /// The names and shapes of the tensors.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.plan.layout.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice()))
    }

    /// The group of a tensor.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn group_of(&self, tensor: &str) -> Result<&str, Error> {
        let tensor = &self.plan.layout.tensors[self.plan.layout.find(tensor)?];
        Ok(&self.plan.state.groups[tensor.group].name)
    }

    /// Changes k, from the next cycle on, or the next round of [tasks](Lookahead::tasks). With a guard, which alone knows
    /// where a cycle ends, it may be called at any time, where it may be called at all.
    ///
    /// # Errors
    ///
    /// [`Error::MidCycle`] within a cycle or round; [`Error::Hyperparameter`], [`Error::NoLookahead`],
    /// [`Error::UnknownName`]; [`Error::Guarded`] with a guard and the policy reset, an adaptive alpha whose
    /// gradient is taken at theta_k, or Anderson acceleration.
    pub fn set_k(&mut self, group: &str, k: u32) -> Result<(), Error> {
        self.check_lockstep(group, "set_k")?;
        if self.plan.options.anderson.is_some() {
            // Which plane an iterate lies in depends on k.
            self.check_unguarded("set_k")?;
        }
        self.set_lookahead(group, "k", |lookahead| lookahead.k = k)
    }

    /// Changes alpha, from the next cycle on.
    ///
    /// # Errors
    ///
    /// As [`Self::set_k`].
    pub fn set_alpha(&mut self, group: &str, alpha: f64) -> Result<(), Error> {
        self.set_lookahead(group, "alpha", |lookahead| lookahead.alpha = alpha)
    }

    fn set_lookahead(
        &mut self,
        group: &str,
        what: &'static str,
        change: impl FnOnce(&mut Lookahead),
    ) -> Result<(), Error> {
        let guarded = self.plan.guard.is_some();
        let anderson = self.plan.options.anderson;
        let group = self.plan.group_mut(group)?;
        let Some(mut lookahead) = group.lookahead else {
            return Err(Error::NoLookahead { of: format!("the group `{}`", group.name) });
        };
        let (position, k) = (group.cycle.position, lookahead.round());
        if position != 0 && !guarded {
            return Err(Error::MidCycle { what, group: group.name.clone(), position, k });
        }
        change(&mut lookahead);
        lookahead.check()?;
        anderson.map_or(Ok(()), |anderson| anderson.check_cycle(&lookahead))?;
        group.set_lookahead(Some(lookahead), anderson);
        Ok(())
    }

    /// Changes a group's learning rate, before schedule and factor.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`], [`Error::UnknownName`].
    pub fn set_learning_rate(&mut self, group: &str, lr: f64) -> Result<(), Error> {
        let group = self.plan.group_mut(group)?;
        check_hyperparameter("lr", lr, |lr| lr >= 0.0, "finite and at least 0")?;
        group.learning_rate = lr;
        Ok(())
    }

    /// Changes a group's learning-rate factor.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`], [`Error::UnknownName`].
    pub fn set_learning_rate_factor(&mut self, group: &str, factor: f64) -> Result<(), Error> {
        let group = self.plan.group_mut(group)?;
        check_factor(factor)?;
        group.factor = factor;
        Ok(())
    }

    /// Freezes a group, as [`Group::frozen`](crate::Group::frozen) says, or lets it go on. Within a cycle its weights
    /// move once more, at the cycle's sync; call [`sync_now`](Self::sync_now) first for that to be now.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`]; [`Error::Accumulating`] between the micro-batches of a step; [`Error::Guarded`] as
    /// [`set_k`](Self::set_k).
    pub fn set_frozen(&mut self, group: &str, frozen: bool) -> Result<(), Error> {
        self.check_lockstep(group, "set_frozen")?;
        if self.plan.state.accumulated > 0 {
            let (accumulated, micro_batches) =
                (self.plan.state.accumulated, self.plan.options.micro_batches());
            return Err(Error::Accumulating { call: "set_frozen", accumulated, micro_batches });
        }
        self.plan.group_mut(group)?.frozen = frozen;
        self.plan.state.norm_is_stale |= frozen;
        Ok(())
    }

    /// The gradients' norms before clipping, of the last step that the device has done: one over all
    /// tensors, or one a tensor in the order of [`tensors`](Self::tensors) with
    /// [`Clip::TensorNorm`](crate::Clip::TensorNorm); what [`download_gradient_norms`](Self::download_gradient_norms)
    /// reads, to bind in kernels (usages `STORAGE` and `COPY_SRC`). Each is two f32, x and y. Where all values are finite
    /// the norm is `x 2^-y`, and y is 0, or below 0 where the norm is beyond f32's largest number. Where one is
    /// not, neither is x, and y is 1, or 2 where one is NaN. None without
    /// [`Builder::gradient_norms`](crate::Builder::gradient_norms), clipping by norm and a guard.
    pub fn gradient_norms(&self) -> Option<&E::Buffer> {
        self.results(Measure::Norm)
    }

    /// The adaptive alphas of the last sync that the device has done (where no weight had moved, of the one before):
    /// one for the model, or one a group or a
    /// tensor, in their order. Each is two f32: the alpha, -1 where the fixed one was taken, and a 0. None
    /// without an adaptive alpha.
    pub fn alphas(&self) -> Option<&E::Buffer> {
        self.results(Measure::Alpha)
    }

    /// The coefficients c of [Anderson acceleration](crate::anderson) at the last sync that the device has done (where no
    /// weight had moved, of the one before): m f32 for the model, or for each group or tensor, in their order, those of the
    /// oldest residual first; all 0 where the fixed step was taken for want of any; a sync between steps, which always takes
    /// it, leaves them as they are. None without Anderson acceleration.
    pub fn accelerations(&self) -> Option<&E::Buffer> {
        self.results(Measure::Residuals)
    }

    fn results(&self, measure: Measure) -> Option<&E::Buffer> {
        self.plan.reductions.find(measure).map(|found| self.engine.buffer(found.results))
    }

    /// The loss scale, one f32 that kernels multiply the loss (or the first gradient) with. None without a guard;
    /// 1 without loss scaling.
    pub fn loss_scale(&self) -> Option<Slice<E::Buffer>> {
        self.plan
            .guard
            .as_ref()
            .map(|guard| Slice::new(self.engine.buffer(guard.state), 4 * guard_state::SCALE as u64, 4))
    }

    /// How many dispatches a step is, those of reductions and of the guard aside; over borrowed tensors a swap, and
    /// [`Gradients::dispatches`](crate::Gradients::dispatches) has a step's.
    pub fn dispatches(&self) -> usize {
        self.own.dispatches()
    }

    /// What the optimizer's buffers take on the device now.
    pub fn memory(&self) -> Memory {
        self.plan.memory_with(self.engine.held())
    }

    /// The bytes that one step must move.
    pub fn traffic(&self) -> Traffic {
        self.plan.traffic()
    }
}
