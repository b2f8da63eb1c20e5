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
    pub share: Option<f64>,
    /// A step with gradients, not a sync between steps.
    pub is_step: bool,
    /// What a guard is told instead of a step.
    pub command: u32,
    /// The step's gradient is that of so many gathered micro-batches, and no other.
    pub flushed: Option<u32>,
}

impl Event {
    /// Begins anew, keeping what the phases take.
    fn begin(&mut self) -> &mut Vec<Phases> {
        let mut phases = std::mem::take(&mut self.phases);
        phases.clear();
        *self = Self { phases, ..Self::default() };
        &mut self.phases
    }
}

impl Plan {
    /// A micro-batch that is only gathered, if the next one is.
    pub(crate) fn gathers(&self, event: &mut Event) -> bool {
        if self.state.gathered + 1 >= self.options.micro_batches() {
            return false;
        }
        let fresh = if self.state.gathered == 0 { flags::FRESH } else { 0 };
        let gather = |group: &GroupState| if group.frozen { [0; 2] } else { [flags::GATHER | fresh, 0] };
        event.begin().extend(self.state.groups.iter().map(gather));
        true
    }

    /// After a micro-batch that was only gathered.
    pub(crate) fn gathered(&mut self) {
        self.state.gathered += 1;
    }

    /// The next step. `factor`: the [checked](Self::checked_factor) one, asked for once a step, since a schedule may be any
    /// function. `flushed`: how many micro-batches were gathered, where the step has no other.
    pub(crate) fn next_step(&self, factor: f64, flushed: Option<u32>, event: &mut Event) {
        let share = self.share(self.state.steps);
        let gradient_at = self.gradient_at();
        let phases = event.begin();
        for group in &self.state.groups {
            let mut step = group.clock.next_step(group.lookahead.as_ref(), gradient_at, group.frozen);
            let last = usize::from(step[1] != 0);
            step[last] |= if share.is_some() { flags::AVERAGE } else { 0 };
            if flushed.is_some() {
                step.iter_mut().filter(|bits| **bits != 0).for_each(|bits| *bits |= flags::GATHERED);
            }
            phases.push(step);
        }
        (event.factor, event.share, event.is_step, event.flushed) = (factor, share, true, flushed);
    }

    /// After a step.
    pub(crate) fn step_taken(&mut self, event: &Event) {
        for (group, phases) in self.state.groups.iter_mut().zip(&event.phases) {
            group.clock.step_taken(*phases, group.lookahead.as_ref());
        }
        self.state.steps += 1;
        self.state.gathered = 0;
    }

    /// What the weights after a step weigh in the average; none where it leaves the average alone.
    pub(crate) fn share(&self, step: u64) -> Option<f64> {
        let step = step.checked_sub(self.state.average_start)?;
        self.options.average.and_then(|average| average.weight(step))
    }

    /// Seeds slow weights and average, where a step that may be skipped cannot, and there is something to seed.
    ///
    /// # Errors
    ///
    /// Where the step that this is for would be refused, so that nothing is recorded then.
    pub(crate) fn starts(&self, event: &mut Event) -> Result<bool, Error> {
        let seeds = self.state.groups.iter().any(|group| group.lookahead.is_some() && group.clock.seed);
        if !(seeds || self.begins_average()) {
            return Ok(false);
        }
        let mut hyper = Vec::new();
        for group in &self.state.groups {
            hyper.clear();
            group.hyper(group.clock.count + 1, &mut hyper)?;
        }
        self.start(self.begins_average(), event);
        Ok(true)
    }

    fn begins_average(&self) -> bool {
        self.options.average.is_some() && self.state.steps == 0
    }

    /// The copy of the weights to the slow ones, and to the average.
    fn start(&self, averages: bool, event: &mut Event) {
        let (average, command) = if averages { (flags::AVERAGE, kind::START) } else { (0, kind::RESEED) };
        let phases = self.state.groups.iter().map(|group| {
            let seed = if group.lookahead.is_some() { flags::SEED } else { 0 };
            [seed | average, 0]
        });
        event.begin().extend(phases);
        (event.share, event.command) = (Some(1.0), command);
    }

    /// After slow weights and average were seeded.
    pub(crate) fn started(&mut self) {
        self.state.groups.iter_mut().for_each(|group| group.clock.seed = false);
    }

    /// A sync between steps, with the checked factor.
    pub(crate) fn sync_now(&self, factor: f64, event: &mut Event) {
        event.begin().extend(self.state.groups.iter().map(|group| [group.clock.next_sync(), 0]));
        (event.factor, event.command) = (factor, kind::SYNC_NOW);
    }

    /// After a sync between steps.
    pub(crate) fn synced(&mut self) {
        for group in &mut self.state.groups {
            if let Some(lookahead) = group.lookahead {
                group.clock.synced(&lookahead);
            }
        }
    }

    /// What follows the weights starts again from them.
    pub(crate) fn reseed(&self, event: &mut Event) {
        self.start(self.options.average.is_some(), event);
    }

    /// After that.
    pub(crate) fn reseeded(&mut self) {
        for group in &mut self.state.groups {
            (group.clock.seed, group.clock.position) = (false, 0);
        }
        if self.options.average.is_some() {
            self.state.average_start = self.state.steps;
        }
    }

    /// After weights were exchanged with these, or back.
    pub(crate) fn swapped(&mut self, what: Swapped) {
        self.state.swapped = if self.state.swapped.is_some() { None } else { Some(what) };
    }
}
