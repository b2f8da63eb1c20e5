//! What can be read and changed while an optimizer is at work.

use crate::{
    access::Slice,
    config::{alpha::GradientAt, group::check_factor, lookahead::Lookahead, precision::bytes},
    error::{Error, check_hyperparameter, list},
    group::GroupState,
    guard::SCALE,
    kernels::Measure,
    layout::VALUE,
    optimizer::Optimizer,
    readback::Field,
};

/// The bytes that one step must move through the device's memory: each input read once, each output
/// written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// In every step.
    pub step: u64,
    /// In a step that ends the cycle, on top.
    pub sync: u64,
}

impl Optimizer {
    /// Steps recorded, over all cycles: what the schedule is asked with. With a guard, those that it skips are
    /// counted too; [`counters`](Self::counters) tells how many were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Inner steps of a group since its state was last initialised: the t of bias corrections.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`]; [`Error::Guarded`] where a guard counts on the GPU.
    pub fn step_count(&self, group: &str) -> Result<u64, Error> {
        self.check_unguarded("step_count")?;
        Ok(self.group(group)?.clock.count)
    }

    /// Steps of a group since its last sync, from 0 to k - 1 (to k with an adaptive alpha whose gradient is
    /// taken at theta_k). At 0 fast and slow weights are equal, but for the rounding of bf16.
    ///
    /// # Errors
    ///
    /// As [`Self::step_count`].
    pub fn position(&self, group: &str) -> Result<u32, Error> {
        self.check_unguarded("position")?;
        Ok(self.group(group)?.clock.position)
    }

    /// Refuses what a guard cannot follow: with the policy reset, or with an adaptive alpha whose gradient is taken
    /// at theta_k, the counts that the host tells it go in cycles, and must go in the GPU's.
    fn check_lockstep(&self, group: &str, call: &'static str) -> Result<(), Error> {
        let resets = self.group(group)?.lookahead.is_some_and(|it| it.policy.resets());
        let synchronised = self.options.adaptive.map(|it| it.gradient) == Some(GradientAt::Synchronised);
        if resets || synchronised { self.check_unguarded(call) } else { Ok(()) }
    }

    fn check_unguarded(&self, call: &'static str) -> Result<(), Error> {
        if self.guard.is_some() { Err(Error::Guarded { call }) } else { Ok(()) }
    }

    /// A group's k, alpha and policy; none for the rule alone.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn lookahead(&self, group: &str) -> Result<Option<Lookahead>, Error> {
        Ok(self.group(group)?.lookahead)
    }

    /// The learning rate that a group's next step will have; with a guard, if no step has been skipped.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn learning_rate(&self, group: &str) -> Result<f64, Error> {
        let factor = self.schedule.factor(self.steps);
        Ok(self.group(group)?.learning_rate_at(factor))
    }

    /// The names of the groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// The names and shapes of the tensors.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.layout.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice()))
    }

    /// Changes k, from the next cycle on. With a guard, which alone knows where a cycle ends, it may be called at
    /// any time.
    ///
    /// # Errors
    ///
    /// [`Error::MidCycle`] within a cycle; [`Error::Hyperparameter`], [`Error::NoLookahead`],
    /// [`Error::UnknownName`]; [`Error::Guarded`] with a guard and the policy reset, or an adaptive alpha whose
    /// gradient is taken at theta_k.
    pub fn set_k(&mut self, group: &str, k: u32) -> Result<(), Error> {
        self.check_lockstep(group, "set_k")?;
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
        let guarded = self.guard.is_some();
        let group = self.group_mut(group)?;
        let Some(mut lookahead) = group.lookahead else {
            return Err(Error::NoLookahead { of: format!("the group `{}`", group.name) });
        };
        let (position, k) = (group.clock.position, lookahead.k);
        if position != 0 && !guarded {
            return Err(Error::MidCycle { what, group: group.name.clone(), position, k });
        }
        change(&mut lookahead);
        lookahead.check()?;
        group.lookahead = Some(lookahead);
        Ok(())
    }

    /// Changes a group's learning rate, before schedule and factor.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`], [`Error::UnknownName`].
    pub fn set_learning_rate(&mut self, group: &str, lr: f64) -> Result<(), Error> {
        let group = self.group_mut(group)?;
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
        let group = self.group_mut(group)?;
        check_factor(factor)?;
        group.factor = factor;
        Ok(())
    }

    /// Freezes a group, as [`Group::frozen`](crate::Group::frozen) says, or lets it go on. Within a cycle its weights
    /// move once more, at the cycle's sync; call [`sync_now`](Self::sync_now) first for that to be now.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`]; [`Error::Gathering`] between the micro-batches of a step; [`Error::Guarded`] as
    /// [`set_k`](Self::set_k).
    pub fn set_frozen(&mut self, group: &str, frozen: bool) -> Result<(), Error> {
        self.check_lockstep(group, "set_frozen")?;
        if self.gathered > 0 {
            let (gathered, micro_batches) = (self.gathered, self.options.micro_batches());
            return Err(Error::Gathering { call: "set_frozen", gathered, micro_batches });
        }
        self.group_mut(group)?.frozen = frozen;
        self.norm_is_stale |= frozen;
        Ok(())
    }

    /// The gradients' norms before clipping, of the last step that the device has done: one over all
    /// tensors, or one a tensor in the order of [`tensors`](Self::tensors) with
    /// [`Clip::TensorNorm`](crate::Clip::TensorNorm); what [`download_gradient_norms`](Self::download_gradient_norms)
    /// reads, to bind in kernels (usages `STORAGE` and `COPY_SRC`). Each is two f32, x and y. Where all values are finite
    /// the norm is `x 2^-y`, and y is 0, or below 0 where the norm is beyond f32's largest number. Where one is
    /// not, neither is x, and y is 1, or 2 where one is NaN. None without
    /// [`Builder::gradient_norms`](crate::Builder::gradient_norms), clipping by norm and a guard.
    pub fn gradient_norms(&self) -> Option<&wgpu::Buffer> {
        self.reductions.find(Measure::Norm).map(|norm| &norm.results)
    }

    /// The adaptive alphas of the last sync that the device has done (where no weight had moved, of the one before):
    /// one for the model, or one a group or a
    /// tensor, in their order. Each is two f32: the alpha, -1 where the fixed one was taken, and a 0. None
    /// without an adaptive alpha.
    pub fn alphas(&self) -> Option<&wgpu::Buffer> {
        self.reductions.find(Measure::Alpha).map(|alpha| &alpha.results)
    }

    /// The loss scale, one f32 that kernels multiply the loss (or the first gradient) with. None without a guard;
    /// 1 without loss scaling.
    pub fn loss_scale(&self) -> Option<Slice> {
        self.guard.as_ref().map(|guard| Slice::new(&guard.clock, 4 * SCALE as u64, 4))
    }

    /// How many dispatches a step is, those of reductions and of the guard aside.
    pub fn dispatches(&self) -> usize {
        self.own.runs.len()
    }

    /// The bytes that one step must move.
    pub fn traffic(&self) -> Traffic {
        let mut traffic = Traffic { step: 0, sync: 0 };
        for (index, tensor) in self.layout.tensors.iter().enumerate() {
            let moments: Vec<u64> = self
                .moment_fields(index)
                .filter(|field| matches!(field, Field::State(_)))
                .map(|field| VALUE * self.field_len(field, index))
                .collect();
            let moment_bytes: u64 = moments.iter().sum();
            let group = &self.groups[tensor.group];
            let planes = &self.planes[tensor.group];
            let value = bytes(tensor.len, None);
            let gradient = bytes(tensor.len, self.options.half_gradients);
            let slow = bytes(tensor.len, self.options.slow_half());
            let state = 2 * value * planes.slots.len() as u64;
            let measures = self.recipe(tensor.group).measures();
            let has = |measure| u64::from(measures.contains(&measure));
            if !group.frozen {
                // The last micro-batch reads the sum of the others, which each read and wrote it.
                let accumulated = u64::from(planes.accumulated) * value;
                let others = u64::from(self.options.micro_batches() - 1);
                let total = gradient + accumulated;
                let stored = u64::from(group.rule.trust().is_some_and(|trust| trust.measure_stores));
                traffic.step += 2 * value + total + state;
                traffic.step += others * (gradient + 2 * accumulated);
                traffic.step += (has(Measure::Norm) + has(Measure::Rows)) * total;
                traffic.step += has(Measure::Trust) * (value + total + (state / 2) * (1 + stored));
                // The sums of the gradient's squares over each dimension, their moments read and written, and
                // read again with weights and gradient.
                traffic.step += moments.len() as u64 * total + 2 * moment_bytes;
                traffic.step += has(Measure::Tried) * (value + total + state / 2);
                traffic.step += has(Measure::Scale) * (value + total + moment_bytes);
                traffic.step += 2 * value * (u64::from(planes.fisher) + u64::from(planes.average));
                traffic.step += self.options.half_weights.map_or(0, |half| bytes(tensor.len, Some(half)));
            }
            if group.frozen {
                // An average goes on: both are read, and written.
                traffic.step += 4 * value * u64::from(planes.average);
            } else if let Some(lookahead) = group.lookahead {
                let interpolates = lookahead.policy.keeps_slow_state();
                traffic.sync += 2 * slow + if interpolates { state + 4 * moment_bytes } else { 0 };
                traffic.sync += 2 * value * planes.outer.len() as u64;
                // Weights, slow weights, gradient and curvature are read, then the sync reads and writes the weights.
                traffic.sync += has(Measure::Alpha) * (value + slow + gradient + value + 2 * value);
            }
        }
        traffic
    }

    pub(crate) fn group(&self, name: &str) -> Result<&GroupState, Error> {
        self.groups.iter().find(|group| group.name == name).ok_or_else(|| self.unknown_group(name))
    }

    pub(crate) fn group_mut(&mut self, name: &str) -> Result<&mut GroupState, Error> {
        let index = self.group_index(name)?;
        Ok(&mut self.groups[index])
    }

    pub(crate) fn group_index(&self, name: &str) -> Result<usize, Error> {
        let found = self.groups.iter().position(|group| group.name == name);
        found.ok_or_else(|| self.unknown_group(name))
    }

    fn unknown_group(&self, name: &str) -> Error {
        let known = list(self.groups());
        Error::UnknownName { what: "group", name: name.to_owned(), known }
    }
}
