//! From what a call does to a recording: what kernels are told, and which are dispatched in which order.

use super::{
    event::Event,
    placement::{Placement, Run},
    recording::{Bind, Dispatch, Recording, Write},
    whole::{Plan, Swapped},
};
use crate::{
    config::{alpha::GradientAt, lookahead::Lookahead, transform::Transform},
    error::Error,
    kernels::{Measure, check_coefficients, check_transform_coefficients},
    layout::{
        guard_state::tables,
        params::{Control, GuardControl, ROWS, flags, kind, tasks},
    },
    rules::{MAX_SLOTS, WeightDecay},
};

impl Plan {
    /// Records the reductions and the dispatches of an event over a placement: one a run for every group whose flags
    /// are not 0, and a second one where a sync has its own. Nothing where no group does anything.
    ///
    /// # Errors
    ///
    /// [`Error::Rule`] or [`Error::Transform`] where what the rule, the outer step or a transformation tells cannot be used.
    pub(crate) fn record(
        &self,
        event: &Event,
        placement: &Placement,
        out: &mut Recording,
    ) -> Result<(), Error> {
        out.clear();
        let guarded = self.guards(event);
        check_coefficients(self.options.outer.as_ref())?;
        let transforms = &self.options.transforms;
        transforms.iter().try_for_each(|transform| check_transform_coefficients(transform.as_ref()))?;
        let mut recorder = Recorder { plan: self, event, placement, guarded, out };
        if guarded {
            recorder.refresh_tables();
        }
        self.tell(event, recorder.out)?;
        if recorder.out.controls.is_empty() {
            return Ok(());
        }
        recorder.clear();
        recorder.out.pass = Some("lookahead step");
        if event.is_step {
            recorder.step();
        } else {
            recorder.decide(false);
            recorder.dispatch(0);
        }
        Ok(())
    }

    /// Adds the slots of all groups: one for each phase, or one for the guard.
    pub(super) fn tell(&self, event: &Event, out: &mut Recording) -> Result<(), Error> {
        let guarded = self.guards(event);
        for (index, group) in self.state.groups.iter().enumerate() {
            let mut slots = [0; 2];
            if guarded {
                let bits = if event.flushed.is_some() { flags::ACCUMULATED } else { 0 };
                let control = self.control(index, bits, event, true);
                let count = self.count_of(index, event);
                slots = [out.push_control(&control, |hyper| group.hyper(count, hyper))?; 2];
            } else {
                let count = group.cycle.count + 1;
                for (phase, &bits) in event.phases[index].iter().enumerate().filter(|(_, bits)| **bits != 0) {
                    let control = self.control(index, bits, event, phase == 1);
                    slots[phase] = out.push_control(&control, |hyper| group.hyper(count, hyper))?;
                }
            }
            out.slots.push(slots);
        }
        Ok(())
    }

    /// After a recording of this event was played.
    pub(crate) fn recorded(&mut self, event: &Event) {
        let guarded = self.guards(event);
        if guarded {
            self.state.stale_tables.fill(false);
        }
        if self.any_update(event, guarded) {
            self.state.norm_is_stale = false;
        }
    }

    /// A guard decides on it: on whole steps and syncs. Accumulating changes nothing that it would have to protect.
    fn guards(&self, event: &Event) -> bool {
        self.guard.is_some() && (event.is_step || event.command != 0)
    }

    /// Records an exchange of weights and slow weights, or average.
    pub(crate) fn record_swap(&self, what: Swapped, placement: &Placement, out: &mut Recording) {
        out.clear();
        out.pass = Some("lookahead swap");
        for run in &placement.runs {
            let kernels = &self.kernels[self.layout.windows[run.window].group];
            let swaps = match what {
                Swapped::Slow => &kernels.swap_slow,
                Swapped::Average => &kernels.swap_average,
            };
            if let Some(&kernel) = swaps.as_ref().and_then(|swaps| swaps.get(run.access)) {
                let binds = self.weights_binds(run, Bind::Unused);
                out.dispatches.push(Dispatch { kernel, binds, workgroups: self.workgroups(run) });
            }
        }
    }

    /// What a dispatch over a run's weights binds.
    fn weights_binds(&self, run: &Run, control: Bind) -> [Bind; 4] {
        let window = &self.windows[run.window];
        let copy = window.copy.map_or(Bind::Unused, Bind::Program);
        [control, Bind::Placement(run.bind_group), Bind::Program(window.bind_group), copy]
    }

    fn workgroups(&self, run: &Run) -> (u32, u32) {
        (run.vec4s.div_ceil(self.program.shape.workgroup * self.program.shape.vec4s), 1)
    }

    /// A group takes an inner step; with a guard, if it takes the step.
    fn updates(&self, event: &Event, guarded: bool, group: usize) -> bool {
        let frozen = self.state.groups[group].frozen;
        event.is_step && if guarded { !frozen } else { event.phases[group][0] & flags::UPDATE != 0 }
    }

    fn any_update(&self, event: &Event, guarded: bool) -> bool {
        (0..self.state.groups.len()).any(|group| self.updates(event, guarded, group))
    }

    /// The count whose hyperparameters a guard is told: the step's own, so that it knows those of the count at
    /// which an imported run stands before a step that only synchronises.
    fn count_of(&self, group: usize, event: &Event) -> u64 {
        let updates = event.phases[group][0] & flags::UPDATE != 0;
        (self.state.groups[group].cycle.count + u64::from(updates)).max(1)
    }

    /// The decay of a group's empirical Fisher.
    fn fisher_decay(&self, group: usize) -> f64 {
        match self.options.adaptive.map(|adaptive| adaptive.curvature) {
            Some(crate::config::alpha::Curvature::Fisher { decay }) => decay,
            _ if self.state.groups[group].planes.fisher => 0.999,
            _ => 0.0,
        }
    }

    /// 1 / bias correction, and eps, of a group's curvature after the step with this count.
    fn curvature_settings(&self, group: usize, count: u64) -> [f32; 2] {
        let state = &self.state.groups[group];
        let moment = state.rule.second_moment(count.max(1));
        let (correction, eps) = if state.planes.fisher {
            (1.0 - self.fisher_decay(group).powf(count.max(1) as f64), 0.0)
        } else {
            moment.map_or((1.0, 0.0), |moment| (moment.bias_correction, moment.eps))
        };
        [correction.recip() as f32, eps as f32]
    }

    /// A group's new tables for a guard, which may be behind the host and take steps yet for which the host has told
    /// it the old settings.
    fn new_tables(&self, index: usize) -> Vec<u32> {
        let group = &self.state.groups[index];
        let by_step = |step: u64| {
            [self.state.schedule.factor(step) as f32, self.average_weight(step).unwrap_or(-1.0) as f32]
        };
        let by_count = |count: u64, row: &mut Vec<u32>| {
            let mut hyper = Vec::new();
            group.rule.hyper(count, &mut hyper);
            row.push(self.curvature_settings(index, count)[0].to_bits());
            row.extend(hyper.into_iter().map(f32::to_bits));
        };
        // Counts that start again with each cycle may be ahead of the host's.
        let count = if group.resets() { ROWS } else { group.cycle.count };
        tables(self.state.steps, count, group.hypers, by_step, by_count)
    }

    /// What a group's dispatch is told. `after`: the step's update comes before it.
    fn control(&self, index: usize, flags: u32, event: &Event, after: bool) -> Control {
        let group = &self.state.groups[index];
        let guarded = self.guard.is_some();
        let base = (group.learning_rate * group.factor) as f32;
        let lr = base * event.factor as f32;
        let (mut l2, mut decoupled, mut decay) = (0.0, 0.0, 0.0);
        match group.weight_decay {
            WeightDecay::None => {}
            WeightDecay::L2(factor) => l2 = factor as f32,
            WeightDecay::Decoupled(factor) => decoupled = factor as f32,
            WeightDecay::Direction(factor) => decay = factor as f32,
        }
        let mut initial = [0.0; MAX_SLOTS];
        for (value, slot) in initial.iter_mut().zip(&group.planes.slots) {
            *value = slot.initial;
        }
        let updated = after && event.phases[index][0] & flags::UPDATE != 0;
        let count =
            if guarded { self.count_of(index, event) } else { group.cycle.count + u64::from(updated) };
        let fisher = self.fisher_decay(index);
        Control {
            flags,
            lr: if guarded { base } else { lr },
            one_minus_alpha: group.lookahead.map_or(0.0, |lookahead| 1.0 - lookahead.alpha) as f32,
            clip: self.options.clip.coefficients()[0],
            l2,
            shrink: lr * decoupled,
            decay,
            gradient_scale: self
                .options
                .gradient_scale(event.flushed.unwrap_or(self.options.micro_batches()), group.maximize)
                as f32,
            outer: self.options.outer.coefficients(),
            average_weight: event.average_weight.unwrap_or(-1.0) as f32,
            step: self.state.steps as u32,
            fisher: [fisher as f32, (1.0 - fisher) as f32],
            curvature: self.curvature_settings(index, count),
            task: if group.planes.task_mean { self.task(index, event) } else { 0 },
            padding: [0; 1],
            initial,
            guard: self.guard_control(index, event, decoupled, count),
            transforms: self.options.coefficients(),
        }
    }

    /// The number of the task that ends with an event, if one does.
    fn task(&self, index: usize, event: &Event) -> u32 {
        let group = &self.state.groups[index];
        group.lookahead.map_or(0, |lookahead| group.cycle.task(&lookahead, !event.is_step))
    }

    /// What a guard is told of a group.
    fn guard_control(&self, index: usize, event: &Event, decoupled: f32, count: u64) -> GuardControl {
        let Some(guard) = &self.guard else { return GuardControl::default() };
        let group = &self.state.groups[index];
        let has_lookahead = group.lookahead.is_some() && !event.keeps_cycle(index);
        let gradient_at = self.gradient_at().filter(|_| has_lookahead);
        let bits = [
            (!group.frozen, kind::UPDATES),
            (has_lookahead, kind::LOOKAHEAD),
            (gradient_at.is_some(), kind::ADAPTIVE),
            (gradient_at == Some(GradientAt::Synchronised), kind::SYNCHRONISED),
            (group.resets(), kind::RESETS),
            (index + 1 == self.state.groups.len(), kind::LAST),
        ];
        let bits = bits.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit);
        // Where all groups are frozen no gradient is looked at.
        let norm = self.reductions.find(Measure::Norm);
        let norm = norm.filter(|_| self.state.groups.iter().any(|group| !group.frozen));
        GuardControl {
            kind: event.command | bits.sum::<u32>(),
            k: group.lookahead.map_or(1, |lookahead| lookahead.k),
            factor: event.factor as f32,
            decoupled,
            steps: self.state.steps as u32,
            count: count as u32,
            hypers: group.hypers,
            results: norm.map_or(0, |norm| norm.ranges),
            tasks: group.lookahead.filter(Lookahead::has_tasks).map_or(0, |lookahead| lookahead.tasks),
            columns: self.options.columns(),
            stride: self.options.anderson.map_or(0, |anderson| anderson.stride),
            ..guard.control_words(index)
        }
    }
}

/// One recording under way.
struct Recorder<'a> {
    plan: &'a Plan,
    event: &'a Event,
    placement: &'a Placement,
    /// A guard decides on it.
    guarded: bool,
    out: &'a mut Recording,
}

impl Recorder<'_> {
    /// New tables for a guard where settings were changed that it keeps by step or count.
    fn refresh_tables(&mut self) {
        let Some(guard) = &self.plan.guard else { return };
        for (group, _) in self.plan.state.stale_tables.iter().enumerate().filter(|(_, stale)| **stale) {
            let words = self.plan.new_tables(group);
            self.out.writes.push(Write { buffer: guard.tables, offset: guard.table_offset(group), words });
        }
    }

    /// Forgets partial sums that would be taken for this step's.
    fn clear(&mut self) {
        let reductions = &self.plan.reductions;
        if self.plan.state.norm_is_stale && self.plan.any_update(self.event, self.guarded) {
            let all =
                [Measure::Norm, Measure::Tried].into_iter().filter_map(|measure| reductions.find(measure));
            self.out.clears.extend(all.map(|reduction| reduction.partials));
        }
        let groups = 0..self.plan.state.groups.len();
        for measure in Measure::OF_SYNC {
            if let Some(reduction) = reductions.find(measure)
                && groups.clone().any(|group| self.syncs(group))
                && !groups.clone().all(|group| self.finds(measure, group))
            {
                self.out.clears.push(reduction.partials);
            }
        }
    }

    /// A sync of a group has a dispatch of its own, with a guard perhaps.
    fn syncs(&self, group: usize) -> bool {
        if self.guarded {
            return self.event.is_step
                && self.plan.state.groups[group].lookahead.is_some()
                && self.plan.gradient_at().is_some();
        }
        self.event.phases[group][1] & flags::SYNC != 0
    }

    /// Whether something is found of a group for its sync. The gradient of a frozen one finds no alpha: nobody need have
    /// computed it. Its iterates are there.
    fn finds(&self, measure: Measure, group: usize) -> bool {
        self.syncs(group) && (measure == Measure::Residuals || !self.plan.state.groups[group].frozen)
    }

    fn updates(&self, group: usize) -> bool {
        self.plan.updates(self.event, self.guarded, group)
    }

    fn group_of(&self, run: &Run) -> usize {
        self.plan.layout.windows[run.window].group
    }

    fn groups(&self) -> std::ops::Range<usize> {
        0..self.plan.state.groups.len()
    }

    /// What a dispatch of a group is told: by the host, or by the guard where it has decided.
    fn control_of(&self, group: usize, phase: usize, decided: bool) -> Bind {
        match self.plan.guard.as_ref().filter(|_| self.guarded && decided) {
            Some(guard) => guard.control(group, phase),
            None => Bind::Control(self.out.slots[group][phase]),
        }
    }

    /// A whole step: what is measured of the gradient, the guard's decision, what is measured of the update, the
    /// update, and a sync of its own.
    fn step(&mut self) {
        if self.plan.options.measures_what_is_told() {
            self.decide(true);
        }
        for measure in self.plan.reductions.of_gradient {
            self.reduce(measure);
        }
        let tries = self.guarded && self.plan.options.tries_updates();
        if tries {
            self.decide(true);
            self.reduce(Measure::Trust);
            self.reduce(Measure::Tried);
        }
        self.decide(false);
        if !tries {
            self.reduce(Measure::Trust);
        }
        self.second_moments();
        self.reduce(Measure::Scale);
        self.dispatch(0);
        if self.groups().any(|group| self.syncs(group)) {
            Measure::OF_SYNC.into_iter().for_each(|measure| self.reduce(measure));
            self.dispatch(1);
        }
    }

    /// Whether a group takes part in a reduction.
    fn is_due(&self, measure: Measure, group: usize) -> bool {
        match measure {
            Measure::Alpha | Measure::Residuals => self.syncs(group),
            // Of a group whose gradient finds alpha alone, too: the norm is over all that are not frozen.
            Measure::Rows | Measure::Norm => {
                self.plan.any_update(self.event, self.guarded) && !self.plan.state.groups[group].frozen
            }
            Measure::Trust | Measure::Scale | Measure::Tried => self.updates(group),
        }
    }

    /// Both passes of a reduction, if there is one and a group takes part in it.
    fn reduce(&mut self, measure: Measure) {
        let (plan, placement) = (self.plan, self.placement);
        let Some(index) = plan.reductions.list.iter().position(|other| other.measure == measure) else {
            return;
        };
        if !self.groups().any(|group| self.is_due(measure, group)) {
            return;
        }
        let of_sync = Measure::OF_SYNC.contains(&measure);
        let of_gradient = plan.reductions.of_gradient.contains(&measure);
        let decided = !of_gradient || plan.options.measures_what_is_told();
        for run in &placement.runs {
            let group = self.group_of(run);
            let concerned = if of_sync { self.finds(measure, group) } else { self.is_due(measure, group) };
            if let Some(Some(partial)) = run.partials.get(index).filter(|_| concerned) {
                let control = self.control_of(group, usize::from(of_sync), decided);
                let [_, weights, own, _] = plan.weights_binds(run, control);
                let binds = [control, weights, own];
                self.out.dispatches.extend(plan.reductions.partial(index, group, run.access, partial, binds));
            }
        }
        self.out.dispatches.extend(plan.reductions.finish(index));
    }

    /// The second moments that are the driver's.
    fn second_moments(&mut self) {
        let (plan, placement) = (self.plan, self.placement);
        let Some(moments) = &plan.reductions.moments else { return };
        for run in &placement.runs {
            let group = self.group_of(run);
            if let Some(sums) = run.sums.as_ref().filter(|_| self.updates(group)) {
                let control = self.control_of(group, 0, true);
                let [_, weights, own, _] = plan.weights_binds(run, control);
                self.out.dispatches.extend(moments.sums(group, run.access, sums, [control, weights, own]));
            }
        }
        for group in self.groups() {
            if self.updates(group) {
                let control = self.control_of(group, 0, true);
                self.out.dispatches.extend(moments.fold(group, control));
            }
        }
    }

    /// The guard's decision on each group, or previews of it.
    fn decide(&mut self, previews: bool) {
        let Some(guard) = self.plan.guard.as_ref().filter(|_| self.guarded) else { return };
        let Recording { slots, dispatches, .. } = &mut *self.out;
        dispatches.extend(slots.iter().filter_map(|[slot, _]| guard.decide(*slot, previews)));
    }

    /// A guard may tell a group something in a phase.
    fn is_told(&self, phase: usize, group: usize) -> bool {
        if phase == 0 { !self.event.leaves(group) } else { self.syncs(group) }
    }

    /// The steps of all groups that have one in a phase, and what a sync does to the driver's second moments.
    fn dispatch(&mut self, phase: usize) {
        let (plan, event, placement) = (self.plan, self.event, self.placement);
        for run in &placement.runs {
            let group = self.group_of(run);
            let bits = event.phases[group][phase];
            let is_due = if self.guarded { self.is_told(phase, group) } else { bits != 0 };
            if let Some(kernels) = plan.kernels[group].step.get(run.access).filter(|_| is_due) {
                let kernel = match (self.guarded, event.command) {
                    (false, _) => kernels.with(bits),
                    (true, 0) => kernels.guarded.unwrap_or(kernels.any),
                    (true, _) => kernels.any,
                };
                let binds = plan.weights_binds(run, self.control_of(group, phase, true));
                self.out.dispatches.push(Dispatch { kernel, binds, workgroups: plan.workgroups(run) });
            }
        }
        let Some(moments) = &plan.reductions.moments else { return };
        for group in self.groups() {
            let bits = event.phases[group][phase];
            let ends = bits & (flags::SYNC | tasks::TASK) != 0;
            let is_due = if self.guarded { self.is_told(phase, group) } else { ends };
            if is_due {
                let control = self.control_of(group, phase, true);
                self.out.dispatches.extend(moments.sync(group, control));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{average::Average, clip::Clip, lookahead::Lookahead},
        layout::limits::Limits,
        optimizer::Optimizer,
        rules::Adam,
    };

    /// What the plan's half of a step allocates once its vectors have grown: nothing, in a whole cycle.
    #[test]
    fn recording_a_step_allocates_nothing_in_the_steady_state() {
        for tensors in [1, 161] {
            let builder = Optimizer::builder(Adam::default()).lookahead(Lookahead::default());
            let mut builder = builder.clip(Clip::GlobalNorm(1.0)).average(Average::Ema { decay: 0.9 });
            for index in 0..tensors {
                builder = builder.tensor(&index.to_string(), &[3, 5]);
            }
            let mut plan = builder.plan(&Limits::default()).unwrap();
            let placement = plan.own_placement();
            let (mut event, mut recording) = (Event::default(), Recording::default());
            let mut step = || {
                plan.next_step(plan.checked_factor().unwrap(), None, &mut event);
                plan.record(&event, &placement, &mut recording).unwrap();
                plan.recorded(&event);
                plan.step_taken(&event);
                recording.dispatches.len()
            };
            (0..6).for_each(|_| assert_eq!(step(), 3));
            let counted = allocation_counter::measure(|| (0..6).for_each(|_| assert_eq!(step(), 3)));
            assert_eq!(counted.count_total, 0, "{counted:?}");
        }
    }
}
