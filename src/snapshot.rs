//! The whole training state on the host: to survive a lost device, or to move to another one.

mod fit;
mod options;

pub use options::{ImportOptions, Weights};

use crate::{
    access::Slice,
    config::{lookahead::StatePolicy, schedule::Schedule},
    error::Error,
    group::GroupState,
    guard::{ClockWords, Cycle},
    optimizer::Optimizer,
    readback::Field,
    transfer::{Reader, Writer},
};
use fit::Fit;

/// All that training goes on from: weights, slow weights, state, counters, and everything that has a setter. A run that
/// is exported, imported into a new optimizer of the same tensors and continued is bit-equal to one that never stopped.
///
/// Tensors and groups are known by their names: their order is of no matter.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Steps taken, over all cycles.
    pub steps: u64,
    /// Steps that a guard skipped.
    pub skipped: u64,
    /// The loss scale, 1 without loss scaling.
    pub loss_scale: f32,
    /// What gradients are multiplied with: 1 / loss scale, as the GPU rounded it.
    pub loss_unscale: f32,
    /// Finite steps in a row since the loss scale changed.
    pub since_rescaled: u32,
    /// Micro-batches gathered for the next step.
    pub gathered: u32,
    /// Steps taken when the average was begun: 0, or those before the last [`reseed`](Optimizer::reseed).
    pub average_start: u64,
    /// The outer step's name.
    pub outer: String,
    /// The loss scale is a dynamic one; none where a file of an older version does not tell.
    pub loss_scaling: Option<bool>,
    /// The schedule. None where it is not known: a file does not hold a [`Schedule::custom`], nor one of an older
    /// version any. The optimizer's own then stays, and goes on from `steps`.
    pub schedule: Option<Schedule>,
    /// One for each group.
    pub groups: Vec<GroupSnapshot>,
    /// One for each tensor.
    pub tensors: Vec<TensorSnapshot>,
}

/// Where a group stands.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSnapshot {
    /// The group's name.
    pub name: String,
    /// Its rule's name.
    pub rule: String,
    /// What a sync does to the state; none for the rule alone.
    pub policy: Option<StatePolicy>,
    /// Inner steps since the state was last initialised.
    pub count: u64,
    /// Steps since the last sync.
    pub position: u32,
    /// The slow weights have been seeded.
    pub seeded: bool,
    /// The learning rate, before schedule and factor.
    pub learning_rate: f64,
    /// The factor on the learning rate.
    pub learning_rate_factor: f64,
    /// k; none for the rule alone.
    pub k: Option<u32>,
    /// alpha; none for the rule alone.
    pub alpha: Option<f64>,
    /// Frozen; none where a file of an older version does not tell.
    pub frozen: Option<bool>,
    /// The weight decay, of the rule's kind; none where a file of an older version does not tell.
    pub weight_decay: Option<f64>,
    /// The rule's, as [`Rule::hyperparameters`](crate::Rule::hyperparameters) gives them. None in files of older
    /// versions.
    pub hyperparameters: Vec<(String, f64)>,
    /// The cycle under way, where it began with another k or alpha: with a guard they change at its end.
    pub cycle: Option<CycleSnapshot>,
}

/// What a cycle under way began with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CycleSnapshot {
    /// k.
    pub k: u32,
    /// 1 - alpha, as the GPU has it.
    pub pull: f32,
}

/// A tensor's values.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSnapshot {
    /// The tensor's name.
    pub name: String,
    /// Its group's name.
    pub group: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Each field that the optimizer keeps of it, by its name as [`Field`] displays it (`weights`,
    /// `state.exp_avg`), in the optimizer's order. bf16 values are given as the f32 they stand for.
    pub fields: Vec<(String, Vec<f32>)>,
}

impl Optimizer {
    /// Everything, once all that was submitted is done. Steps that are recorded must have been submitted. All values
    /// are copied side by side, by one submit and with one wait for each 64 MiB, however many tensors there are; the
    /// future ends by itself, as a [`download`](Self::download) does.
    ///
    /// # Errors
    ///
    /// [`Error::Swapped`], [`Error::Range`] where a borrowed buffer lacks the usage `COPY_SRC`,
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub async fn export(&self) -> Result<Snapshot, Error> {
        let (clock, values) = self.read_state().await?;
        self.snapshot(clock, values)
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

    /// The clock, and every field of every tensor in the order in which `snapshot` takes their values.
    async fn read_state(&self) -> Result<(ClockWords, Vec<Vec<f32>>), Error> {
        let fields = (0..self.layout.tensors.len())
            .flat_map(|tensor| self.fields_of(tensor).into_iter().map(move |field| (tensor, field)));
        let sources = fields.map(|(tensor, field)| self.source(field, tensor));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let clock = self.guard.as_ref().map(|guard| Slice::whole(&guard.clock));
        let slices = clock.iter().chain(sources.iter().flat_map(|source| &source.slices));
        let mut reader = Reader::new(self, slices.cloned());
        let clock = match &clock {
            Some(clock) => ClockWords::from_bytes(&reader.slice(clock).await?),
            None => self.host_clock(),
        };
        Ok((clock, reader.all(&sources).await?))
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
        self.check_not_swapped("import")?;
        let fit = self.fit(snapshot, &options)?;
        let mut writer = Writer::new(self);
        for (tensor, fields) in fit.tensors.iter().enumerate() {
            for (field, values) in fields {
                writer.field(*field, tensor, values)?;
            }
        }
        writer.finish()?;
        self.go_on(fit)
    }

    /// Takes over all that is not a tensor's.
    fn go_on(&mut self, fit: Fit<'_>) -> Result<(), Error> {
        self.steps = fit.clock.steps;
        self.gathered = fit.gathered;
        self.average_start = fit.clock.average_start;
        self.schedule = fit.schedule.unwrap_or_else(|| self.schedule.clone());
        for (index, from) in fit.groups.into_iter().enumerate() {
            // The partial sums of a frozen group's norm may still be there.
            self.norm_is_stale |= from.frozen;
            let group = &mut self.groups[index];
            group.clock = from.clock;
            group.learning_rate = from.learning_rate;
            group.factor = from.factor;
            group.weight_decay = from.weight_decay;
            group.lookahead = from.lookahead;
            group.frozen = from.frozen;
            if let Some(rule) = from.rule {
                self.replace_rule(index, rule);
            }
        }
        self.write_clock(&fit.clock)
    }

    /// Sets the guard's clock.
    fn write_clock(&self, clock: &ClockWords) -> Result<(), Error> {
        let Some(guard) = &self.guard else { return Ok(()) };
        let words = clock.encode();
        let (_, problem) = crate::gpu::scoped(&self.device, || {
            self.queue.write_buffer(&guard.clock, 0, bytemuck::cast_slice(&words));
        });
        match futures::FutureExt::now_or_never(problem) {
            Some(Some(problem)) => Err(crate::gpu::error(&self.device, &problem, "writing the clock")),
            _ => Ok(()),
        }
    }

    /// What is kept of a tensor. Gradients come anew with every step.
    pub(crate) fn fields_of(&self, tensor: usize) -> Vec<Field<'static>> {
        let group = self.layout.tensors[tensor].group;
        let mut fields = vec![Field::Weights];
        if self.groups[group].lookahead.is_some() {
            fields.push(Field::SlowWeights);
        }
        fields.extend(self.planes[group].fields());
        fields.extend(self.moment_fields(tensor));
        fields
    }

    fn snapshot(&self, clock: ClockWords, values: Vec<Vec<f32>>) -> Result<Snapshot, Error> {
        let mut values = values.into_iter();
        let tensors = self.layout.tensors.iter().enumerate().map(|(index, tensor)| TensorSnapshot {
            name: tensor.name.clone(),
            group: self.groups[tensor.group].name.clone(),
            shape: tensor.shape.clone(),
            fields: self.fields_of(index).iter().map(Field::to_string).zip(values.by_ref()).collect(),
        });
        let tensors = tensors.collect();
        let clocks = clock.groups.iter().zip(&clock.cycles);
        let groups = self.groups.iter().zip(clocks);
        let groups =
            groups.map(|(group, (&(count, position), cycle))| group_snapshot(group, count, position, *cycle));
        let groups = groups.collect();
        Ok(Snapshot {
            steps: clock.steps,
            skipped: clock.skipped,
            loss_scale: clock.scale,
            loss_unscale: clock.unscale,
            since_rescaled: clock.tracker,
            gathered: self.gathered,
            average_start: clock.average_start,
            outer: self.options.outer.name().to_owned(),
            loss_scaling: Some(self.options.guard.is_some_and(|guard| guard.loss_scale.is_some())),
            schedule: Some(self.schedule.clone()),
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
        seeded: !group.clock.seed,
        learning_rate: group.learning_rate,
        learning_rate_factor: group.factor,
        k: group.lookahead.map(|lookahead| lookahead.k),
        alpha: group.lookahead.map(|lookahead| lookahead.alpha),
        frozen: Some(group.frozen),
        weight_decay: Some(group.weight_decay.factor()),
        hyperparameters: hyperparameters.map(|(name, value)| (name.to_owned(), value)).collect(),
        cycle: latched.then_some(CycleSnapshot { k: cycle.k, pull: cycle.pull }),
    }
}

impl TensorSnapshot {
    /// The values of a field, if it is there.
    pub fn field(&self, field: Field<'_>) -> Option<&[f32]> {
        self.values(&field.to_string())
    }

    /// The values of a field by its name.
    fn values(&self, field: &str) -> Option<&[f32]> {
        self.fields.iter().find(|(other, _)| other == field).map(|(_, values)| values.as_slice())
    }
}
