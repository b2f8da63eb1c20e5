//! A snapshot taken of an optimizer, and one taken over.

use super::{
    data::{CycleSnapshot, GroupSnapshot, Snapshot, TensorSnapshot},
    fit::Fit,
    options::ImportOptions,
};
use crate::{
    engine::{Engine, slice::Slice, transfer::Reader},
    error::Error,
    layout::{
        field::Field,
        guard_state::{Cycle, GuardState},
    },
    optimizer::Optimizer,
    plan::group::GroupState,
};

impl<E: Engine> Optimizer<E> {
    /// Everything, once all that was submitted is done. Steps that are recorded must have been submitted. All values
    /// are copied side by side, by one submit and with one wait for each 64 MiB, however many tensors there are; the
    /// future ends by itself, as a [`download`](Self::download) does.
    ///
    /// # Errors
    ///
    /// [`Error::Swapped`], [`Error::Range`] where a borrowed buffer lacks the usage `COPY_SRC`,
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub async fn export(&self) -> Result<Snapshot, Error> {
        let (guard_state, values) = self.read_state().await?;
        self.snapshot(guard_state, values)
    }

    /// [`Self::export`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::export`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn export_blocking(&self) -> Result<Snapshot, Error> {
        pollster::block_on(self.export())
    }

    /// The guard's state, and every field of every tensor in the order in which `snapshot` takes their values.
    async fn read_state(&self) -> Result<(GuardState, Vec<Vec<f32>>), Error> {
        let fields = (0..self.plan.layout.tensors.len())
            .flat_map(|tensor| self.plan.fields_of(tensor).into_iter().map(move |field| (tensor, field)));
        let sources = fields.map(|(tensor, field)| self.source(field, tensor));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let guard_state = self.plan.guard.as_ref().map(|guard| Slice::whole(self.engine.buffer(guard.state)));
        let slices = guard_state.iter().chain(sources.iter().flat_map(|source| &source.slices));
        let mut reader = Reader::new(&self.engine, slices.cloned());
        let guard_state = match &guard_state {
            Some(guard_state) => GuardState::from_bytes(&reader.slice(guard_state).await?),
            None => self.host_state(),
        };
        Ok((guard_state, reader.all(&sources).await?))
    }

    /// Goes on from a snapshot of the same tensors, in groups of the same names, rules and policies, whatever their
    /// order. Everything that has a setter becomes what it was when the snapshot was made, as in PyTorch's
    /// `load_state_dict`: learning rates and their factors, weight decay, hyperparameters, k, alpha, what is frozen,
    /// the schedule where the snapshot has it. To change one on the way, call its setter afterwards, or see
    /// [`ImportOptions::keep_settings`].
    ///
    /// bf16 slow weights are rounded by bits that are drawn for each place in the buffer: with the tensors in another
    /// order they are others.
    ///
    /// # Errors
    ///
    /// [`Error::Snapshot`], which lists all that does not fit and names the option of [`import_with`](Self::import_with)
    /// that would take it; [`Error::Swapped`]; [`Error::Range`] where a borrowed buffer lacks the usage `COPY_DST`.
    /// Nothing was written then.
    pub fn import(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        self.import_with(snapshot, ImportOptions::new())
    }

    /// [`Self::import`] of a snapshot of an optimizer that was built otherwise: Lookahead around a rule that ran alone,
    /// say, or an average that there was none of. [`ImportOptions`] says what is begun and what is given up.
    ///
    /// # Errors
    ///
    /// As [`Self::import`].
    pub fn import_with(&mut self, snapshot: &Snapshot, options: ImportOptions) -> Result<(), Error> {
        self.plan.check_not_swapped("import")?;
        let fit = self.fit(snapshot, &options)?;
        // Which plane an iterate lies in depends on k.
        for (group, from) in self.plan.state.groups.iter_mut().zip(&fit.groups) {
            group.set_lookahead(from.lookahead, self.plan.options.anderson);
        }
        let mut writer = self.writer();
        for (tensor, fields) in fit.tensors.iter().enumerate() {
            for (field, values) in fields {
                self.write_field(&mut writer, *field, tensor, values)?;
            }
        }
        writer.finish()?;
        self.go_on(fit)
    }

    /// Takes over all that is not a tensor's.
    fn go_on(&mut self, fit: Fit<'_>) -> Result<(), Error> {
        self.plan.state.steps = fit.guard.steps;
        self.plan.state.accumulated = fit.accumulated;
        self.plan.state.average_start = fit.guard.average_start;
        self.plan.state.slow_weights_moved = fit.slow_weights_moved;
        self.plan.state.schedule = fit.schedule.unwrap_or_else(|| self.plan.state.schedule.clone());
        for (index, from) in fit.groups.into_iter().enumerate() {
            // The partial sums of a frozen group's norm may still be there.
            self.plan.state.norm_is_stale |= from.frozen;
            let group = &mut self.plan.state.groups[index];
            group.cycle = from.cycle;
            group.learning_rate = from.learning_rate;
            group.factor = from.factor;
            group.weight_decay = from.weight_decay;
            group.frozen = from.frozen;
            if let Some(rule) = from.rule {
                self.replace_rule(index, rule);
            }
        }
        self.write_guard_state(&fit.guard)
    }

    /// Sets the guard's state.
    fn write_guard_state(&self, guard_state: &GuardState) -> Result<(), Error> {
        let Some(guard) = &self.plan.guard else { return Ok(()) };
        let words = guard_state.encode();
        let slice = Slice::whole(self.engine.buffer(guard.state));
        self.engine.write(&[slice], bytemuck::cast_slice(&words), "writing the guard's state")
    }

    /// By group: the iterates that its cycle under way has kept.
    fn kept_fields(&self, guard_state: &GuardState) -> Vec<Vec<Field<'static>>> {
        let groups = self.plan.state.groups.iter().zip(guard_state.kept.iter().zip(&guard_state.cycles));
        let fields = |(group, (kept, cycle)): (&GroupState, (&u32, &Cycle))| {
            // Their names are those of a cycle of this k.
            let is_named = group.lookahead.is_some_and(|lookahead| lookahead.k == cycle.k);
            let kept = if is_named { *kept as usize } else { 0 };
            group.planes.iterates.iter().take(kept).map(|step| Field::Iterate(*step)).collect()
        };
        groups.map(fields).collect()
    }

    fn snapshot(&self, guard_state: GuardState, values: Vec<Vec<f32>>) -> Result<Snapshot, Error> {
        let mut values = values.into_iter();
        let kept = self.kept_fields(&guard_state);
        let tensors = self.plan.layout.tensors.iter().enumerate().map(|(index, tensor)| {
            let fields = self.plan.fields_of(index).into_iter().zip(values.by_ref());
            let fields = fields.filter(|(field, _)| {
                kept[tensor.group].iter().any(|other| other == field) || !matches!(field, Field::Iterate(_))
            });
            TensorSnapshot {
                name: tensor.name.clone(),
                group: self.plan.state.groups[tensor.group].name.clone(),
                shape: tensor.shape.clone(),
                fields: fields.map(|(field, values)| (field.to_string(), values)).collect(),
            }
        });
        let tensors = tensors.collect();
        let clocks = guard_state.groups.iter().zip(&guard_state.cycles);
        let groups = self.plan.state.groups.iter().zip(clocks);
        let groups =
            groups.map(|(group, (&(count, position), cycle))| group_snapshot(group, count, position, *cycle));
        let groups = groups.collect();
        Ok(Snapshot {
            steps: guard_state.steps,
            skipped: guard_state.skipped,
            loss_scale: guard_state.scale,
            loss_unscale: guard_state.unscale,
            since_rescaled: guard_state.tracker,
            accumulated: self.plan.state.accumulated,
            average_start: guard_state.average_start,
            outer: self.plan.options.outer.name().to_owned(),
            loss_scaling: Some(self.plan.options.guard.is_some_and(|guard| guard.loss_scale.is_some())),
            schedule: Some(self.plan.state.schedule.clone()),
            groups,
            tensors,
        })
    }
}

/// Where a group stands; `cycle` is what its cycle has latched.
fn group_snapshot(group: &GroupState, count: u64, position: u32, cycle: Cycle) -> GroupSnapshot {
    let latched = position > 0 && group.lookahead.is_some() && cycle != Cycle::of(group.lookahead.as_ref());
    let hyperparameters = group.rule.hyperparameters().into_iter();
    GroupSnapshot {
        name: group.name.clone(),
        rule: group.rule.name().to_owned(),
        policy: group.lookahead.map(|lookahead| lookahead.policy),
        count,
        position,
        initialised: !group.cycle.init,
        learning_rate: group.learning_rate,
        learning_rate_factor: group.factor,
        k: group.lookahead.map(|lookahead| lookahead.k),
        alpha: group.lookahead.map(|lookahead| lookahead.alpha),
        tasks: group.lookahead.map_or(1, |lookahead| lookahead.tasks),
        frozen: Some(group.frozen),
        weight_decay: Some(group.weight_decay.factor()),
        hyperparameters: hyperparameters.map(|(name, value)| (name.to_owned(), value)).collect(),
        cycle: latched.then_some(CycleSnapshot { k: cycle.k, one_minus_alpha: cycle.one_minus_alpha }),
    }
}
