//! What a call does to the groups, decided from where they stand, and where they stand after it.

use super::{
    cycle::Phases,
    group::GroupState,
    whole::{Plan, Swapped},
};
use crate::{
    error::Error,
    layout::params::{flags, kind},
};

/// What one call does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Event {
    /// By group: the flags of its dispatch, and of a second one.
    pub phases: Vec<Phases>,
    /// The schedule's.
    pub factor: f64,
    /// What the weights weigh in the average.
    pub average_weight: Option<f64>,
    /// A step with gradients, not a sync between steps.
    pub is_step: bool,
    /// What a guard is told instead of a step.
    pub command: u32,
    /// The step's gradient is that of so many accumulated micro-batches, and no other.
    pub flushed: Option<u32>,
    /// By group: the sync is not this one's. Empty where it is all groups'.
    pub left: Vec<bool>,
}

impl Event {
    /// A group's cycle goes on: the average alone starts, or other groups are synchronised.
    pub fn keeps_cycle(&self, group: usize) -> bool {
        let starts_average = self.command == kind::START && self.phases[group][0] & flags::INIT == 0;
        starts_average || self.leaves(group)
    }

    /// The sync is not this group's.
    pub fn leaves(&self, group: usize) -> bool {
        self.left.get(group).is_some_and(|left| *left)
    }

    /// Begins anew, keeping what the phases take.
    fn begin(&mut self) -> &mut Vec<Phases> {
        let (mut phases, mut left) = (std::mem::take(&mut self.phases), std::mem::take(&mut self.left));
        phases.clear();
        left.clear();
        *self = Self { phases, left, ..Self::default() };
        &mut self.phases
    }
}

impl Plan {
    /// A micro-batch that is only accumulated, if the next one is.
    pub(crate) fn accumulates(&self, event: &mut Event) -> bool {
        if self.state.accumulated + 1 >= self.options.micro_batches() {
            return false;
        }
        let fresh = if self.state.accumulated == 0 { flags::FRESH } else { 0 };
        let accumulate =
            |group: &GroupState| if group.frozen { [0; 2] } else { [flags::ACCUMULATE | fresh, 0] };
        event.begin().extend(self.state.groups.iter().map(accumulate));
        true
    }

    /// After a micro-batch that was only accumulated.
    pub(crate) fn accumulated(&mut self) {
        self.state.accumulated += 1;
        self.state.slow_weights_moved = false;
    }

    /// The next step. `factor`: the [checked](Self::checked_factor) one, asked for once a step, since a schedule may be any
    /// function. `flushed`: how many micro-batches were accumulated, where the step has no other.
    pub(crate) fn next_step(&self, factor: f64, flushed: Option<u32>, event: &mut Event) {
        let average_weight = self.average_weight(self.state.steps);
        let gradient_at = self.gradient_at();
        let phases = event.begin();
        for group in &self.state.groups {
            let mut step = group.cycle.next_step(group.lookahead.as_ref(), gradient_at, group.frozen);
            group.cycle.keep(&group.planes.iterates, &mut step);
            let last = usize::from(step[1] != 0);
            step[last] |= if average_weight.is_some() { flags::AVERAGE } else { 0 };
            if flushed.is_some() {
                step.iter_mut().filter(|bits| **bits != 0).for_each(|bits| *bits |= flags::ACCUMULATED);
            }
            phases.push(step);
        }
        (event.factor, event.average_weight, event.is_step, event.flushed) =
            (factor, average_weight, true, flushed);
    }

    /// After a step.
    pub(crate) fn step_taken(&mut self, event: &Event) {
        for (group, phases) in self.state.groups.iter_mut().zip(&event.phases) {
            group.cycle.step_taken(*phases, group.lookahead.as_ref());
        }
        self.state.steps += 1;
        self.state.accumulated = 0;
        self.state.slow_weights_moved =
            event.phases.iter().any(|phases| (phases[0] | phases[1]) & flags::SYNC != 0);
    }

    /// What the weights after a step weigh in the average; none where it leaves the average alone.
    pub(crate) fn average_weight(&self, step: u64) -> Option<f64> {
        let step = step.checked_sub(self.state.average_start)?;
        self.options.average.and_then(|average| average.weight(step))
    }

    /// Seeds slow weights and average, where a step that may be skipped cannot, and there is something to seed.
    ///
    /// # Errors
    ///
    /// Where the step that this is for would be refused, so that nothing is recorded then.
    pub(crate) fn starts(&self, event: &mut Event) -> Result<bool, Error> {
        let inits = self.state.groups.iter().any(|group| group.lookahead.is_some() && group.cycle.init);
        if !(inits || self.begins_average()) {
            return Ok(false);
        }
        let mut hyper = Vec::new();
        for group in &self.state.groups {
            hyper.clear();
            group.hyper(group.cycle.count + 1, &mut hyper)?;
        }
        self.start(self.begins_average(), event);
        Ok(true)
    }

    fn begins_average(&self) -> bool {
        self.options.average.is_some() && self.state.steps == 0
    }

    /// The copy of the weights to the slow ones, and to the average.
    fn start(&self, averages: bool, event: &mut Event) {
        let (average, command) =
            if averages { (flags::AVERAGE, kind::START) } else { (0, kind::INIT_SYNCED) };
        let phases = self.state.groups.iter().map(|group| {
            let init = if group.lookahead.is_some() { flags::INIT } else { 0 };
            [init | average, 0]
        });
        event.begin().extend(phases);
        (event.average_weight, event.command) = (Some(1.0), command);
    }

    /// After slow weights and average were initialised.
    pub(crate) fn started(&mut self) {
        self.state.groups.iter_mut().for_each(|group| group.cycle.init = false);
    }

    /// A sync between steps, with the checked factor. `left`: groups that it is not for.
    pub(crate) fn sync_now(&self, factor: f64, left: &[bool], event: &mut Event) {
        event.begin().extend(self.state.groups.iter().map(|group| [group.cycle.next_sync(), 0]));
        (event.factor, event.command) = (factor, kind::SYNC_NOW);
        event.left.extend(left);
        for (phases, _) in event.phases.iter_mut().zip(left).filter(|(_, left)| **left) {
            *phases = [0; 2];
        }
    }

    /// After a sync between steps.
    pub(crate) fn synced(&mut self, event: &Event) {
        let groups = self.state.groups.iter_mut().enumerate();
        for (_, group) in groups.filter(|(index, _)| !event.leaves(*index)) {
            if let Some(lookahead) = group.lookahead {
                self.state.slow_weights_moved |= group.cycle.position > 0;
                group.cycle.synced(&lookahead);
            }
        }
    }

    /// What follows the weights starts again from them.
    pub(crate) fn init_synced(&self, event: &mut Event) {
        self.start(self.options.average.is_some(), event);
    }

    /// After that.
    pub(crate) fn synced_anew(&mut self) {
        for group in &mut self.state.groups {
            group.cycle.begin();
        }
        self.state.slow_weights_moved = true;
        if self.options.average.is_some() {
            self.state.average_start = self.state.steps;
        }
    }

    /// The average alone starts again, as a copy of the weights.
    pub(crate) fn begin_average(&self, event: &mut Event) {
        event.begin().extend(self.state.groups.iter().map(|_| [flags::AVERAGE, 0]));
        (event.average_weight, event.command) = (Some(1.0), kind::START);
    }

    /// After that.
    pub(crate) fn average_begun(&mut self) {
        self.state.average_start = self.state.steps;
    }

    /// After weights were exchanged with these, or back.
    pub(crate) fn swapped(&mut self, what: Swapped) {
        self.state.swapped = if self.state.swapped.is_some() { None } else { Some(what) };
    }
}
