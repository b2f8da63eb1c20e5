//! The driver: one schedule over one layout, recorded into the caller's encoder.

use std::{collections::HashMap, sync::Arc};

#[cfg(doc)]
use crate::config::accumulate::Accumulation;
use crate::{
    access::{Binder, Run, Slice, check_disjoint},
    builder::Builder,
    config::{
        alpha::{GradientAt, Scope},
        lookahead::Lookahead,
        options::Options,
        schedule::Schedule,
    },
    controls::{Control, ControlRing, SLOT, slot_offset},
    error::{Error, list},
    gpu,
    group::GroupState,
    guard::{GuardState, Order, ROWS, kind, tables},
    kernels::{Access, Measure, Recipe, check_coefficients},
    layout::{Layout, Tensor},
    lookahead::{Phases, flags},
    memory::{Held, Tally},
    pipelines::StepPipelines,
    planes::Planes,
    reduction::Reductions,
    rules::{MAX_SLOTS, Ranger, Rule, WeightDecay},
    waiting::Waiter,
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
/// | [`gradients`](Self::gradients), [`curvature`](Self::curvature) | `STORAGE`, `COPY_SRC`, `COPY_DST` | all, before each step |
/// | [`loss_scale`](Self::loss_scale) | `STORAGE`, `COPY_SRC`, `COPY_DST` | nothing |
/// | [`gradient_norms`](Self::gradient_norms), [`alphas`](Self::alphas) | `STORAGE`, `COPY_SRC` | nothing |
///
/// None is `UNIFORM`, `VERTEX` or mappable: copy to a buffer of your own for that. Of borrowed tensors the weights'
/// buffers need `STORAGE` (with `COPY_SRC` to be downloaded and exported, and `COPY_DST` to be uploaded and imported), and
/// the gradients' `STORAGE` alone.
pub struct Optimizer {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    /// What waits for the device when values are read back.
    pub(crate) waiter: Waiter,
    /// What of the memory comes and goes.
    pub(crate) tally: Tally,
    pub(crate) access_layouts: Vec<(Access, wgpu::BindGroupLayout)>,
    /// Bytes of the largest binding.
    pub(crate) binding_limit: u64,
    pub(crate) workgroup: u32,
    pub(crate) layout: Layout,
    pub(crate) groups: Vec<GroupState>,
    /// Each group's.
    pub(crate) planes: Vec<Planes>,
    pub(crate) pipelines: Vec<Pipelines>,
    pub(crate) ring: ControlRing,
    pub(crate) reductions: Reductions,
    pub(crate) guard: Option<GuardState>,
    pub(crate) options: Options,
    pub(crate) schedule: Schedule,
    /// One buffer a chunk; none where weights are borrowed.
    pub(crate) weights: Vec<wgpu::Buffer>,
    /// One slice a tensor, where weights are borrowed.
    pub(crate) borrowed: Option<Vec<Slice>>,
    pub(crate) gradients: Vec<wgpu::Buffer>,
    pub(crate) slow: Vec<wgpu::Buffer>,
    pub(crate) half_weights: Vec<wgpu::Buffer>,
    pub(crate) windows: Vec<WindowBuffers>,
    /// The runs over our own buffers; where weights are borrowed, over the weights alone.
    pub(crate) own: Arc<Gradients>,
    /// Differs between any two optimizers of a process.
    pub(crate) id: u64,
    pub(crate) steps: u64,
    /// Micro-batches gathered for the next step.
    pub(crate) gathered: u32,
    /// The step at which the average began.
    pub(crate) average_start: u64,
    /// What the weights are exchanged with.
    pub(crate) swapped: Option<Swapped>,
    /// A group was frozen, and its partial sums are still there.
    pub(crate) norm_is_stale: bool,
}

/// What the weights are exchanged with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swapped {
    Slow,
    Average,
}

/// One group's pipelines, by access.
pub(crate) struct Pipelines {
    pub step: Vec<(Access, StepPipelines)>,
    pub swap_slow: Vec<(Access, wgpu::ComputePipeline)>,
    pub swap_average: Vec<(Access, wgpu::ComputePipeline)>,
}

/// One window's planes, and the bind group of all that is the optimizer's own.
pub(crate) struct WindowBuffers {
    pub planes: Option<wgpu::Buffer>,
    pub bind_group: wgpu::BindGroup,
    /// Of the half-width copy of the weights.
    pub copy: Option<wgpu::BindGroup>,
}

/// Where the gradients of borrowed tensors lie; [`Optimizer::borrow_gradients`] makes one. Several may be
/// used in turn.
#[derive(Debug)]
pub struct Gradients {
    /// The optimizer's.
    id: u64,
    pub(crate) runs: Vec<Run>,
    /// Tensors that have none, since they were frozen.
    missing: Vec<usize>,
    /// Bytes of the tables.
    held: Arc<Held>,
}

impl Gradients {
    /// `missing`: tensors that have none.
    pub(crate) fn new(id: u64, runs: Vec<Run>, missing: Vec<usize>, tally: &Tally) -> Self {
        let held = Arc::new(tally.hold(runs.iter().map(Run::bytes).sum()));
        Self { id, runs, missing, held }
    }
}

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Optimizer")
            .field("tensors", &self.layout.tensors.len())
            .field("groups", &self.groups)
            .field("options", &self.options)
            .field("schedule", &self.schedule)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl Optimizer {
    /// Begins an optimizer with this rule.
    pub fn builder(rule: impl Rule + 'static) -> Builder {
        Builder::new(rule)
    }

    /// Begins Ranger, whole: [`RAdam` on centralised gradients](crate::rules::Ranger) with its authors' Lookahead
    /// around it, k = 6 and alpha = 0.5.
    pub fn ranger(learning_rate: f64) -> Builder {
        Builder::new(Ranger::new(learning_rate)).lookahead(Lookahead::new(6, 0.5))
    }

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
    /// two [`swap_slow`](Self::swap_slow), [`Error::Ownership`] where gradients are borrowed. Nothing was
    /// recorded or counted then.
    pub fn step(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        if self.borrowed.is_some() {
            return Err(Error::Ownership {
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
    pub fn step_with(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        gradients: &Gradients,
    ) -> Result<(), Error> {
        if self.borrowed.is_none() {
            return Err(Error::Ownership {
                call: "step_with",
                problem: "is for borrowed tensors; these are the optimizer's own: call `step`",
            });
        }
        if gradients.id != self.id {
            return Err(Error::Ownership {
                call: "step_with",
                problem: "was given gradients that another optimizer borrowed",
            });
        }
        let tensors = gradients.missing.iter().map(|tensor| &self.layout.tensors[*tensor]);
        let train = tensors.filter(|tensor| !self.groups[tensor.group].frozen);
        let mut names = train.map(|tensor| tensor.name.as_str()).peekable();
        if names.peek().is_some() {
            return Err(Error::MissingGradients { tensors: list(names) });
        }
        self.record_step(encoder, gradients)
    }

    fn record_step(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        gradients: &Gradients,
    ) -> Result<(), Error> {
        self.check_not_swapped("step")?;
        if self.gathered + 1 < self.options.micro_batches() {
            let fresh = if self.gathered == 0 { flags::FRESH } else { 0 };
            let gather = |group: &GroupState| if group.frozen { [0; 2] } else { [flags::GATHER | fresh, 0] };
            let phases: Vec<_> = self.groups.iter().map(gather).collect();
            self.record(encoder, &Plan { phases, ..Plan::default() }, gradients)?;
            self.gathered += 1;
            return Ok(());
        }
        self.take_step(encoder, gradients, None)
    }

    /// Takes the step that a [gathering](Accumulation) of micro-batches has not enough of yet, with those that are
    /// there: their mean or their sum. At the end of an epoch, say. What lies in the gradients is not looked at. Returns
    /// whether there was a step to take: without a micro-batch nothing is recorded.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn flush(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<bool, Error> {
        self.check_not_swapped("flush")?;
        if self.gathered == 0 {
            return Ok(false);
        }
        let own = self.own.clone();
        self.take_step(encoder, &own, Some(self.gathered))?;
        Ok(true)
    }

    /// Forgets the micro-batches that were gathered for the next step, and returns how many there were.
    pub fn discard(&mut self) -> u32 {
        std::mem::take(&mut self.gathered)
    }

    /// `flushed`: how many micro-batches were gathered, where the step has no other.
    fn take_step(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        gradients: &Gradients,
        flushed: Option<u32>,
    ) -> Result<(), Error> {
        let factor = self.checked_factor()?;
        if self.guard.is_some() {
            self.start(encoder)?;
        }
        let gradient_at = self.gradient_at();
        let share = self.share(self.steps);
        let mut phases: Vec<Phases> = self
            .groups
            .iter()
            .map(|group| group.clock.next_step(group.lookahead.as_ref(), gradient_at, group.frozen))
            .collect();
        let taken = phases.clone();
        for phases in phases.iter_mut().filter(|_| share.is_some()) {
            let last = usize::from(phases[1] != 0);
            phases[last] |= flags::AVERAGE;
        }
        if flushed.is_some() {
            phases.iter_mut().flatten().filter(|bits| **bits != 0).for_each(|bits| *bits |= flags::GATHERED);
        }
        let plan = Plan { phases, factor, share, is_step: true, command: 0, flushed };
        self.record(encoder, &plan, gradients)?;
        for (group, phases) in self.groups.iter_mut().zip(taken) {
            group.clock.step_taken(phases, group.lookahead.as_ref());
        }
        self.steps += 1;
        self.gathered = 0;
        Ok(())
    }

    /// What the weights after a step weigh in the average; none where it leaves the average alone.
    fn share(&self, step: u64) -> Option<f64> {
        let step = step.checked_sub(self.average_start)?;
        self.options.average.and_then(|average| average.weight(step))
    }

    /// The schedule's factor, if every group's learning rate can be used.
    fn checked_factor(&self) -> Result<f64, Error> {
        self.check_factor_of(&self.schedule, self.steps)
    }

    /// A schedule's factor at a step, if every group's learning rate can be used.
    pub(crate) fn check_factor_of(&self, schedule: &Schedule, step: u64) -> Result<f64, Error> {
        let factor = schedule.factor(step);
        for group in &self.groups {
            if !group.can_tell(factor) {
                let value = group.learning_rate_at(factor);
                return Err(Error::LearningRate { step, group: group.name.clone(), value });
            }
        }
        Ok(factor)
    }

    /// Records new tables for a guard where settings were changed that it keeps by step or count: it may be behind the
    /// host, and take steps yet for which the host has told it the old ones.
    fn refresh_tables(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        let Some(guard) = &self.guard else { return Ok(()) };
        for group in guard.stale() {
            let state = &self.groups[group];
            let resets = state.lookahead.is_some_and(|it| it.policy.resets());
            let by_step =
                |step: u64| [self.schedule.factor(step) as f32, self.share(step).unwrap_or(-1.0) as f32];
            let by_count = |count: u64, row: &mut Vec<u32>| {
                let mut hyper = Vec::new();
                state.rule.hyper(count, &mut hyper);
                row.push(self.curvature_settings(group, count)[0].to_bits());
                row.extend(hyper.into_iter().map(f32::to_bits));
            };
            // Counts that start again with each cycle may be ahead of the host's.
            let count = if resets { ROWS } else { state.clock.count };
            let words = tables(self.steps, count, state.hypers, by_step, by_count);
            guard.replace_tables(&self.device, encoder, group, &words)?;
        }
        if let Some(guard) = &mut self.guard {
            guard.refreshed();
        }
        Ok(())
    }

    /// Where the gradient of the adaptive alpha is taken, if it is adaptive.
    fn gradient_at(&self) -> Option<GradientAt> {
        self.options.adaptive.map(|adaptive| adaptive.gradient)
    }

    /// Seeds slow weights and average by themselves, where a step that may be skipped cannot.
    fn start(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        let seeds = self.groups.iter().any(|group| group.lookahead.is_some() && group.clock.seed);
        if !(seeds || self.options.average.is_some() && self.steps == 0) {
            return Ok(());
        }
        // Of the step that this is for, so that nothing is recorded where that is refused.
        let mut hyper = Vec::new();
        for group in &self.groups {
            hyper.clear();
            group.hyper(group.clock.count + 1, &mut hyper)?;
        }
        self.record_start(encoder, self.options.average.is_some() && self.steps == 0)?;
        for group in &mut self.groups {
            group.clock.seed = false;
        }
        Ok(())
    }

    /// Records the copy of the weights to the slow ones, and to the average.
    fn record_start(&mut self, encoder: &mut wgpu::CommandEncoder, averages: bool) -> Result<(), Error> {
        let (average, command) = if averages { (flags::AVERAGE, kind::START) } else { (0, kind::RESEED) };
        let phases = self.groups.iter().map(|group| {
            let seed = if group.lookahead.is_some() { flags::SEED } else { 0 };
            [seed | average, 0]
        });
        let plan = Plan { phases: phases.collect(), share: Some(1.0), command, ..Plan::default() };
        let own = self.own.clone();
        self.record(encoder, &plan, &own)
    }

    /// Records the reductions and the dispatches of a plan: one a run for every group whose flags are not 0, and a
    /// second one where a sync has its own.
    fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        plan: &Plan,
        gradients: &Gradients,
    ) -> Result<(), Error> {
        // A guard decides on whole steps and syncs; gathering changes nothing that it would have to protect.
        let guarded = self.guard.is_some() && (plan.is_step || plan.command != 0);
        check_coefficients(self.options.outer.as_ref())?;
        if guarded {
            self.refresh_tables(encoder)?;
        }
        self.ring.begin();
        let mut slots = vec![[0; 2]; plan.phases.len()];
        for (index, slots) in slots.iter_mut().enumerate() {
            let phases = plan.phases[index];
            if guarded {
                let bits = if plan.flushed.is_some() { flags::GATHERED } else { 0 };
                let control = self.control(index, bits, plan, true);
                let count = self.told_count(index, plan);
                *slots = [self.ring.len(); 2];
                self.ring.push(&control, |out| self.groups[index].hyper(count, out))?;
                continue;
            }
            for (phase, &bits) in phases.iter().enumerate().filter(|(_, bits)| **bits != 0) {
                let control = self.control(index, bits, plan, phase == 1);
                let count = self.groups[index].clock.count + 1;
                slots[phase] = self.ring.len();
                self.ring.push(&control, |out| self.groups[index].hyper(count, out))?;
            }
        }
        if self.ring.len() == 0 {
            return Ok(());
        }
        let (controls, first) = self.ring.write(&self.queue, encoder, gradients.held.clone())?;
        let updates = |group: usize| {
            let frozen = self.groups[group].frozen;
            plan.is_step && if guarded { !frozen } else { plan.phases[group][0] & flags::UPDATE != 0 }
        };
        let any_update = (0..self.groups.len()).any(updates);
        if any_update && std::mem::take(&mut self.norm_is_stale) {
            self.reductions.clear_norm(encoder);
        }
        let syncs = |group: usize| {
            if guarded {
                return plan.is_step
                    && self.groups[group].lookahead.is_some()
                    && self.gradient_at().is_some();
            }
            plan.phases[group][1] & flags::SYNC != 0
        };
        // The gradient of a frozen group finds no alpha: nobody need have computed it.
        let finds_alpha = |group: usize| syncs(group) && !self.groups[group].frozen;
        if let Some(alpha) = self.reductions.find(Measure::Alpha)
            && (0..self.groups.len()).any(syncs)
            && !(0..self.groups.len()).all(finds_alpha)
        {
            alpha.clear(encoder);
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("lookahead step"),
            timestamp_writes: None,
        });
        let group_of = |run: &Run| self.layout.windows[run.window].group;
        let live = |group: usize, phase: usize| [(SLOT * (2 * group + phase)) as u32; 2];
        // What a dispatch of a group is told: by the host, or by the guard.
        let told = |pass: &mut wgpu::ComputePass<'_>, group: usize, phase: usize, decided: bool| match self
            .guard
            .as_ref()
            .filter(|_| guarded && decided)
        {
            Some(guard) => pass.set_bind_group(0, &guard.live, &live(group, phase)),
            None => pass.set_bind_group(0, &controls, &slot_offset(first, slots[group][phase])),
        };
        let reduce = |pass: &mut wgpu::ComputePass<'_>, measure: Measure| {
            let Some(index) = self.reductions.list.iter().position(|other| other.measure == measure) else {
                return;
            };
            let alpha = measure == Measure::Alpha;
            let is_due = |group: usize| match measure {
                Measure::Alpha => syncs(group),
                // Of a group whose gradient finds alpha alone, too: the norm is over all that are not frozen.
                Measure::Rows | Measure::Norm => any_update && !self.groups[group].frozen,
                Measure::Trust | Measure::Scale | Measure::Tried => updates(group),
            };
            if !(0..self.groups.len()).any(is_due) {
                return;
            }
            let concerned = |group: usize| if alpha { finds_alpha(group) } else { is_due(group) };
            let decided = !matches!(measure, Measure::Rows | Measure::Norm);
            for run in gradients.runs.iter().filter(|run| concerned(group_of(run))) {
                let group = group_of(run);
                self.reductions.record_partial(pass, index, group, run, |pass| {
                    told(pass, group, usize::from(alpha), decided);
                    pass.set_bind_group(2, &self.windows[run.window].bind_group, &[]);
                });
            }
            self.reductions.record_finish(pass, index);
        };
        // The second moments that are the driver's.
        let moments = |pass: &mut wgpu::ComputePass<'_>| {
            let Some(moments) = &self.reductions.moments else { return };
            for run in gradients.runs.iter().filter(|run| updates(group_of(run))) {
                let group = group_of(run);
                if let (Some(sums), Some(pipeline)) = (&run.sums, moments.sums(group, run.access)) {
                    pass.set_pipeline(pipeline);
                    told(pass, group, 0, true);
                    pass.set_bind_group(1, &run.bind_group, &[]);
                    pass.set_bind_group(2, &self.windows[run.window].bind_group, &[]);
                    pass.set_bind_group(3, &sums.bind_group, &[]);
                    pass.dispatch_workgroups(sums.workgroups.0, sums.workgroups.1, 1);
                }
            }
            for group in (0..self.groups.len()).filter(|group| updates(*group)) {
                moments.record(pass, group, |pass| told(pass, group, 0, true));
            }
        };
        let dispatch = |pass: &mut wgpu::ComputePass<'_>, phase: usize| {
            for run in &gradients.runs {
                let group = group_of(run);
                let bits = plan.phases[group][phase];
                let is_due = if guarded { phase == 0 || syncs(group) } else { bits != 0 };
                let pipeline = by_access(&self.pipelines[group].step, run.access).filter(|_| is_due);
                if let Some(pipeline) = pipeline {
                    pass.set_pipeline(pipeline.with(if guarded { 0 } else { bits }));
                    told(pass, group, phase, true);
                    self.dispatch(pass, run);
                }
            }
            for (group, bits) in plan.phases.iter().map(|phases| phases[phase]).enumerate() {
                let is_due = if guarded { phase == 0 || syncs(group) } else { bits & flags::SYNC != 0 };
                if let Some(moments) = self.reductions.moments.as_ref().filter(|_| is_due) {
                    moments.record_sync(pass, group, |pass| told(pass, group, phase, true));
                }
            }
        };
        if plan.is_step {
            reduce(&mut pass, Measure::Rows);
            reduce(&mut pass, Measure::Norm);
        }
        let tries = plan.is_step && guarded && self.options.tries_updates();
        let decide = |pass: &mut wgpu::ComputePass<'_>, previews: bool| {
            for slots in slots.iter().filter(|_| guarded) {
                let guard = self.guard.as_ref();
                guard.inspect(|guard| guard.record(pass, &controls, &slot_offset(first, slots[0]), previews));
            }
        };
        if tries {
            decide(&mut pass, true);
            reduce(&mut pass, Measure::Trust);
            reduce(&mut pass, Measure::Tried);
        }
        decide(&mut pass, false);
        if plan.is_step {
            if !tries {
                reduce(&mut pass, Measure::Trust);
            }
            moments(&mut pass);
            reduce(&mut pass, Measure::Scale);
        }
        dispatch(&mut pass, 0);
        if plan.is_step && (0..self.groups.len()).any(syncs) {
            reduce(&mut pass, Measure::Alpha);
            dispatch(&mut pass, 1);
        }
        Ok(())
    }

    /// What a group's dispatch is told. `after`: the step's update comes before it.
    fn control(&self, index: usize, flags: u32, plan: &Plan, after: bool) -> Control {
        let group = &self.groups[index];
        let base = (group.learning_rate * group.factor) as f32;
        let factor = plan.factor as f32;
        let lr = base * factor;
        let (mut l2, mut decoupled, mut decay) = (0.0, 0.0, 0.0);
        match group.weight_decay {
            WeightDecay::None => {}
            WeightDecay::L2(factor) => l2 = factor as f32,
            WeightDecay::Decoupled(factor) => decoupled = factor as f32,
            WeightDecay::Direction(factor) => decay = factor as f32,
        }
        let mut initial = [0.0; MAX_SLOTS];
        for (value, slot) in initial.iter_mut().zip(&self.planes[index].slots) {
            *value = slot.initial;
        }
        let guarded = self.guard.is_some();
        let updated = after && plan.phases[index][0] & flags::UPDATE != 0;
        let count =
            if guarded { self.told_count(index, plan) } else { group.clock.count + u64::from(updated) };
        let fisher = self.fisher_decay(index);
        let pull = group.lookahead.map_or(0.0, |lookahead| 1.0 - lookahead.alpha) as f32;
        let mut control = Control {
            flags,
            lr: if guarded { base } else { lr },
            pull,
            clip: self.options.clip.bound() as f32,
            l2,
            shrink: lr * decoupled,
            decay,
            gain: self.options.gain(plan.flushed.unwrap_or(self.options.micro_batches()), group.maximize)
                as f32,
            outer: self.options.outer.coefficients(),
            share: plan.share.unwrap_or(-1.0) as f32,
            draw: self.steps as u32,
            fisher: [fisher as f32, (1.0 - fisher) as f32],
            curvature: self.curvature_settings(index, count),
            padding: [0; 2],
            initial,
            order: Order::default(),
        };
        if let Some(guard) = &self.guard {
            let hypers = group.hypers;
            let mut kind = plan.command;
            let bits = [
                (!group.frozen, kind::UPDATES),
                (group.lookahead.is_some(), kind::LOOKAHEAD),
                (group.lookahead.is_some() && self.gradient_at().is_some(), kind::ADAPTIVE),
                (
                    group.lookahead.is_some() && self.gradient_at() == Some(GradientAt::Synchronised),
                    kind::SYNCHRONISED,
                ),
                (group.lookahead.is_some_and(|l| l.policy.resets()), kind::RESETS),
                (index + 1 == self.groups.len(), kind::LAST),
            ];
            kind |= bits.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum::<u32>();
            control.order = Order {
                kind,
                k: group.lookahead.map_or(1, |lookahead| lookahead.k),
                factor,
                decoupled,
                steps: self.steps as u32,
                count: count as u32,
                hypers,
                // Where all groups are frozen no gradient is looked at.
                results: self
                    .reductions
                    .find(Measure::Norm)
                    .filter(|_| self.groups.iter().any(|group| !group.frozen))
                    .map_or(0, |norm| norm.ranges),
                ..guard.order(index)
            };
        }
        control
    }

    /// The count whose hyperparameters a guard is told: the step's own, so that it knows those of the count at
    /// which an imported run stands before a step that only synchronises.
    fn told_count(&self, group: usize, plan: &Plan) -> u64 {
        let updates = plan.phases[group][0] & flags::UPDATE != 0;
        (self.groups[group].clock.count + u64::from(updates)).max(1)
    }

    /// The decay of a group's empirical Fisher.
    fn fisher_decay(&self, group: usize) -> f64 {
        match self.options.adaptive.map(|adaptive| adaptive.curvature) {
            Some(crate::config::alpha::Curvature::Fisher { decay }) => decay,
            _ if self.planes[group].fisher => 0.999,
            _ => 0.0,
        }
    }

    /// 1 / bias correction, and eps, of a group's curvature after the step with this count.
    fn curvature_settings(&self, group: usize, count: u64) -> [f32; 2] {
        let moment = self.groups[group].rule.second_moment(count.max(1));
        let (correction, eps) = if self.planes[group].fisher {
            (1.0 - self.fisher_decay(group).powf(count.max(1) as f64), 0.0)
        } else {
            moment.map_or((1.0, 0.0), |moment| (moment.bias_correction, moment.eps))
        };
        [correction.recip() as f32, eps as f32]
    }

    /// Groups 1 to 3 and the dispatch of one run.
    fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, run: &Run) {
        let window = &self.windows[run.window];
        pass.set_bind_group(1, &run.bind_group, &[]);
        pass.set_bind_group(2, &window.bind_group, &[]);
        if let Some(copy) = &window.copy {
            pass.set_bind_group(3, copy, &[]);
        }
        pass.dispatch_workgroups(run.threads.div_ceil(self.workgroup), 1, 1);
    }

    /// Synchronises now and begins the next cycle: at the end of training, say. An adaptive alpha has no gradient
    /// then, and the fixed one is taken. Groups without Lookahead are left alone, and so are those that have taken no
    /// step since their last sync: nothing has moved there, so that two calls in a row do what one does.
    ///
    /// # Errors
    ///
    /// [`Error::NoLookahead`], [`Error::Swapped`], [`Error::LearningRate`].
    pub fn sync_now(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        self.check_lookahead()?;
        self.check_not_swapped("sync_now")?;
        let factor = self.checked_factor()?;
        if self.guard.is_some() {
            self.start(encoder)?;
        }
        let phases = self.groups.iter().map(|group| [group.clock.next_sync(), 0]).collect();
        let plan = Plan { phases, factor, command: kind::SYNC_NOW, ..Plan::default() };
        let own = self.own.clone();
        self.record(encoder, &plan, &own)?;
        for group in &mut self.groups {
            if let Some(lookahead) = group.lookahead {
                group.clock.synced(&lookahead);
            }
        }
        Ok(())
    }

    /// What follows the weights starts again from them: the slow weights as their copy with the outer step's buffers at
    /// zero and a new cycle, and an [average](crate::average) as if this were its step 0. To be called after weights
    /// were loaded or written once training has begun: else the slow weights would pull them back, and the average
    /// would remember the old ones. The rule's state is kept. The first step does this by itself.
    ///
    /// # Errors
    ///
    /// [`Error::NoLookahead`] where there are neither slow weights nor an average; [`Error::Swapped`].
    pub fn reseed(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        let averages = self.options.average.is_some();
        if !averages {
            self.check_lookahead()?;
        }
        self.check_not_swapped("reseed")?;
        self.record_start(encoder, averages)?;
        for group in &mut self.groups {
            (group.clock.seed, group.clock.position) = (false, 0);
        }
        if averages {
            self.average_start = self.steps;
        }
        Ok(())
    }

    /// Exchanges fast and slow weights in place, so that kernels bound to the weights evaluate the slow
    /// ones. Call it again before the next step. No memory is needed, and no bit of either is lost.
    ///
    /// # Errors
    ///
    /// [`Error::NoLookahead`]; [`Error::Swapped`] while the average is in the weights' place;
    /// [`Error::Ownership`] where the slow weights are bf16, which would lose bits.
    pub fn swap_slow(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        self.check_lookahead()?;
        if self.options.slow_bf16 {
            return Err(Error::Ownership {
                call: "swap_slow",
                problem: "would round the fast weights to bf16; bind `slow_weights` instead",
            });
        }
        if self.swapped == Some(Swapped::Average) {
            return Err(Error::Swapped { call: "swap_slow" });
        }
        if self.groups.iter().any(|group| group.clock.seed) {
            self.reseed(encoder)?;
        }
        self.swap(encoder, Swapped::Slow);
        Ok(())
    }

    /// Exchanges weights and average in place, as [`swap_slow`](Self::swap_slow) does with the slow weights.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] where no average is kept; [`Error::Swapped`] while the slow weights are in the
    /// weights' place.
    pub fn swap_average(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        if self.options.average.is_none() {
            return Err(Error::UnknownName {
                what: "average",
                name: "swap_average".to_owned(),
                known: "none: build with `average`".to_owned(),
            });
        }
        if self.swapped == Some(Swapped::Slow) {
            return Err(Error::Swapped { call: "swap_average" });
        }
        if self.steps == 0 && self.swapped.is_none() {
            self.start(encoder)?;
        }
        self.swap(encoder, Swapped::Average);
        Ok(())
    }

    fn swap(&mut self, encoder: &mut wgpu::CommandEncoder, what: Swapped) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("lookahead swap"),
            timestamp_writes: None,
        });
        for run in &self.own.runs {
            let group = self.layout.windows[run.window].group;
            let pipelines = match what {
                Swapped::Slow => &self.pipelines[group].swap_slow,
                Swapped::Average => &self.pipelines[group].swap_average,
            };
            if let Some(pipeline) = by_access(pipelines, run.access) {
                pass.set_pipeline(pipeline);
                self.dispatch(&mut pass, run);
            }
        }
        drop(pass);
        self.swapped = if self.swapped.is_some() { None } else { Some(what) };
    }

    /// Tells where the gradients of borrowed tensors lie: one slice for each tensor, by name, in any order. Tensors of
    /// groups that are frozen now may be left out, since their gradients are never read; once such a group is let
    /// go, [`step_with`](Self::step_with) needs gradients that were borrowed with its slices. Making one costs bind
    /// groups and small tables ([`memory`](Self::memory) counts them); keep and reuse it where the buffers stay.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`], [`Error::DuplicateName`], [`Error::Range`], [`Error::Overlap`],
    /// [`Error::Ownership`] where tensors are the optimizer's own.
    pub async fn borrow_gradients(&self, slices: &[(&str, Slice)]) -> Result<Gradients, Error> {
        let Some(weights) = &self.borrowed else {
            return Err(Error::Ownership {
                call: "borrow_gradients",
                problem: "is for borrowed tensors; these have gradient buffers: see `gradients`",
            });
        };
        let tensors = &self.layout.tensors;
        let indices: HashMap<_, _> = tensors.iter().zip(0..).map(|(tensor, i)| (&tensor.name, i)).collect();
        let mut gradients: Vec<Option<&Slice>> = vec![None; tensors.len()];
        for (name, slice) in slices {
            let index: usize = match indices.get(&name.to_string()) {
                Some(index) => *index,
                None => self.layout.find(name)?,
            };
            slice.check("gradients", &tensors[index], self.options.half_gradients)?;
            if gradients[index].replace(slice).is_some() {
                return Err(Error::DuplicateName { what: "tensor", name: name.to_string() });
            }
        }
        let missing: Vec<usize> = (0..tensors.len()).filter(|index| gradients[*index].is_none()).collect();
        if let Some(index) = missing.iter().find(|index| !self.groups[tensors[**index].group].frozen) {
            return Err(Error::UnknownName {
                what: "gradient of the tensor",
                name: tensors[*index].name.clone(),
                known: list(slices.iter().map(|(name, _)| *name)),
            });
        }
        let name = |role: &str, tensor: &Tensor| format!("{role} of `{}`", tensor.name);
        let ranges = tensors.iter().zip(weights).map(|(tensor, slice)| (name("weights", tensor), slice));
        let given = tensors.iter().zip(&gradients);
        let given = given.filter_map(|(tensor, slice)| Some((name("gradients", tensor), (*slice)?)));
        check_disjoint(ranges.chain(given).collect())?;
        // A frozen group's dispatches read no gradients: the weights stand in for those that are missing.
        let stand_in = gradients.iter().zip(weights).map(|(slice, weights)| slice.unwrap_or(weights));
        let gradients: Vec<Slice> = stand_in.cloned().collect();
        let (runs, problem) = gpu::scoped(&self.device, || self.borrowed_runs(weights, &gradients));
        match problem.await {
            Some(problem) => Err(gpu::error(&self.device, &problem, "the gradients' bind groups")),
            None => Ok(Gradients::new(self.id, runs?, missing, &self.tally)),
        }
    }

    /// [`Self::borrow_gradients`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::borrow_gradients`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn borrow_gradients_blocking(&self, slices: &[(&str, Slice)]) -> Result<Gradients, Error> {
        pollster::block_on(self.borrow_gradients(slices))
    }

    fn borrowed_runs(&self, weights: &[Slice], gradients: &[Slice]) -> Result<Vec<Run>, Error> {
        let group = |access| {
            let known = self.access_layouts.iter().find(|(other, _)| *other == access);
            known.map_or_else(|| self.access_layouts[0].1.clone(), |(_, layout)| layout.clone())
        };
        let binder = Binder {
            device: &self.device,
            layout: &self.layout,
            group: &group,
            table: true,
            reductions: &self.reductions,
            half_gradients: self.options.half_gradients,
            alpha_by_group: self.options.adaptive.is_some_and(|adaptive| adaptive.scope == Scope::Group),
        };
        binder.borrowed_all(weights, gradients, self.binding_limit)
    }

    /// One group's settings as its kernels are composed from.
    pub(crate) fn recipe(&self, group: usize) -> Recipe<'_> {
        let group = &self.groups[group];
        let access = self.own.runs.first().map_or(Access::Owned, |run| run.access);
        Recipe {
            rule: group.rule.as_ref(),
            lookahead: group.lookahead.as_ref(),
            options: &self.options,
            access,
        }
    }

    pub(crate) fn check_not_swapped(&self, call: &'static str) -> Result<(), Error> {
        if self.swapped.is_some() { Err(Error::Swapped { call }) } else { Ok(()) }
    }

    fn check_lookahead(&self) -> Result<(), Error> {
        if self.slow.is_empty() {
            return Err(Error::NoLookahead { of: "the optimizer".to_owned() });
        }
        Ok(())
    }
}

/// The pipeline of an access.
fn by_access<T>(pipelines: &[(Access, T)], access: Access) -> Option<&T> {
    pipelines.iter().find(|(other, _)| *other == access).map(|(_, pipeline)| pipeline)
}

/// What one call records.
#[derive(Debug, Clone, Default)]
struct Plan {
    phases: Vec<Phases>,
    /// The schedule's.
    factor: f64,
    /// What the weights weigh in the average.
    share: Option<f64>,
    /// A step with gradients, not a sync between steps.
    is_step: bool,
    /// What a guard is told instead of a step.
    command: u32,
    /// The step's gradient is that of so many gathered micro-batches, and no other.
    flushed: Option<u32>,
}
