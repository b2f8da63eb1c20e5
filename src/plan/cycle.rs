//! A group's place in its cycle: k inner steps, then a sync.

use crate::{
    config::{alpha::GradientAt, lookahead::Lookahead},
    layout::params::{flags, iterate, tasks},
};

/// Where a group stands: the host's half of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CycleState {
    /// Inner steps since the state was last initialised.
    pub count: u64,
    /// Steps since the last sync, over all tasks of a round; 0 where there is nothing to synchronise, as in a frozen group
    /// after its sync.
    pub position: u32,
    /// The next dispatch copies the fast weights to the slow ones first.
    pub init: bool,
    /// No iterate of the cycle under way is missing that Anderson acceleration keeps.
    pub whole: bool,
}

/// What a step does to a group: the flags of its dispatch, and of a second one where the sync needs one of its own.
/// 0 means no dispatch.
pub(crate) type Phases = [u32; 2];

impl CycleState {
    pub fn new() -> Self {
        Self::at(0, 0, true)
    }

    /// So far, with all iterates that there were to keep.
    pub fn at(count: u64, position: u32, init: bool) -> Self {
        Self { count, position, init, whole: true }
    }

    /// What the next step does. `adaptive`: where the gradient of the adaptive alpha is taken.
    pub fn next_step(
        &self,
        lookahead: Option<&Lookahead>,
        adaptive: Option<GradientAt>,
        frozen: bool,
    ) -> Phases {
        let update = if frozen { 0 } else { flags::UPDATE };
        let Some(lookahead) = lookahead else { return [update, 0] };
        let init = if self.init { flags::INIT } else { 0 };
        if frozen && self.position == 0 {
            return [init, 0];
        }
        match adaptive {
            Some(GradientAt::Synchronised) if self.position >= lookahead.k => [init, flags::SYNC],
            Some(GradientAt::LastStep) if self.position + 1 >= lookahead.k => [update | init, flags::SYNC],
            None if self.position + 1 >= lookahead.round() => [update | init | flags::SYNC, 0],
            None if (self.position + 1).is_multiple_of(lookahead.k) => [update | init | tasks::TASK, 0],
            _ => [update | init, 0],
        }
    }

    /// The number of the task under way in its round, from 1. `between`: for a sync between two steps, for which there is none
    /// between two tasks either; 0 then.
    pub fn task(&self, lookahead: &Lookahead, between: bool) -> u32 {
        let is_none = between && self.position.is_multiple_of(lookahead.k);
        if is_none { 0 } else { self.position / lookahead.k + 1 }
    }

    /// What a step that [does this](Self::next_step) does besides where iterates are kept, before these steps of the
    /// cycle: it keeps one, or at the sync tells that one is missing.
    pub fn keep(&self, iterates: &[u32], phases: &mut Phases) {
        let plane = iterates.iter().position(|step| *step == self.position);
        let goes_on = phases[0] & flags::UPDATE != 0 || self.position > 0;
        if let Some(plane) = plane.filter(|_| goes_on) {
            phases[0] |= iterate::KEEP | (plane as u32) << iterate::PLANE;
        }
        if phases[1] & flags::SYNC != 0 && !iterates.is_empty() && !self.whole {
            phases[1] |= flags::FIXED;
        }
    }

    /// The iterates of these that the cycle under way has kept so far.
    pub fn kept<'a>(&self, iterates: &'a [u32]) -> &'a [u32] {
        let count = iterates.iter().filter(|step| **step < self.position).count();
        if self.whole { &iterates[..count] } else { &[] }
    }

    /// What a sync between steps does: at the start of a cycle no weight has moved, and an outer step's momentum
    /// would move them.
    pub fn next_sync(&self) -> u32 {
        let sync = if self.position == 0 { 0 } else { flags::SYNC | flags::FIXED };
        sync | if self.init { flags::INIT } else { 0 }
    }

    /// After a step that did this.
    pub fn step_taken(&mut self, phases: Phases, lookahead: Option<&Lookahead>) {
        let done = phases[0] | phases[1];
        if done & flags::UPDATE != 0 {
            self.count += 1;
        }
        let Some(lookahead) = lookahead else { return };
        self.init = false;
        if done & flags::SYNC != 0 {
            self.synced(lookahead);
        } else if done & flags::UPDATE != 0 || self.position > 0 {
            self.position += 1;
            if done & tasks::TASK != 0 && lookahead.policy.resets() {
                self.count = 0;
            }
        }
    }

    /// After a sync, be it a step's or one between steps.
    pub fn synced(&mut self, lookahead: &Lookahead) {
        self.begin();
        if lookahead.policy.resets() {
            self.count = 0;
        }
    }

    /// A cycle begins, from slow weights that are there.
    pub fn begin(&mut self) {
        (self.init, self.position, self.whole) = (false, 0, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::lookahead::StatePolicy;

    /// The flags of the first `steps` steps.
    fn run(
        lookahead: Option<Lookahead>,
        adaptive: Option<GradientAt>,
        frozen: bool,
        steps: usize,
    ) -> (Vec<Phases>, CycleState) {
        let mut cycle = CycleState::new();
        let phases = (0..steps)
            .map(|_| {
                let phases = cycle.next_step(lookahead.as_ref(), adaptive, frozen);
                cycle.step_taken(phases, lookahead.as_ref());
                phases
            })
            .collect();
        (phases, cycle)
    }

    /// The same, where no sync has a dispatch of its own.
    fn fused(lookahead: Option<Lookahead>, frozen: bool, steps: usize) -> (Vec<u32>, CycleState) {
        let (phases, cycle) = run(lookahead, None, frozen, steps);
        assert!(phases.iter().all(|phases| phases[1] == 0));
        (phases.iter().map(|phases| phases[0]).collect(), cycle)
    }

    const FIRST: u32 = flags::UPDATE | flags::INIT;
    const SYNC: u32 = flags::UPDATE | flags::SYNC;

    #[test]
    fn the_first_sync_is_right_after_step_k() {
        let (bits, cycle) = fused(Some(Lookahead::new(3, 0.5)), false, 7);
        assert_eq!(bits, [FIRST, 1, SYNC, 1, 1, SYNC, 1]);
        assert_eq!((cycle.count, cycle.position), (7, 1));
    }

    #[test]
    fn a_period_of_one_syncs_at_every_step() {
        let (bits, _) = fused(Some(Lookahead::new(1, 0.5)), false, 3);
        assert_eq!(bits, [FIRST | SYNC, SYNC, SYNC]);
    }

    #[test]
    fn reset_starts_the_count_again() {
        let lookahead = Lookahead::new(2, 0.5).policy(StatePolicy::Reset);
        let (bits, cycle) = fused(Some(lookahead), false, 4);
        assert_eq!(bits, [FIRST, SYNC, flags::UPDATE, SYNC]);
        assert_eq!(cycle.count, 0);
    }

    #[test]
    fn frozen_groups_rest_and_are_seeded_all_the_same() {
        let (bits, cycle) = fused(Some(Lookahead::new(2, 0.5)), true, 4);
        assert_eq!(bits, [flags::INIT, 0, 0, 0]);
        assert_eq!((cycle.count, cycle.position), (0, 0));
    }

    #[test]
    fn a_group_frozen_within_a_cycle_ends_it_and_rests() {
        let lookahead = Lookahead::new(3, 0.5);
        let (_, mut cycle) = fused(Some(lookahead), false, 1);
        let bits: Vec<Phases> = (0..5)
            .map(|_| {
                let phases = cycle.next_step(Some(&lookahead), None, true);
                cycle.step_taken(phases, Some(&lookahead));
                phases
            })
            .collect();
        assert_eq!(bits, [[0, 0], [flags::SYNC, 0], [0, 0], [0, 0], [0, 0]]);
        assert_eq!((cycle.count, cycle.position), (1, 0));
    }

    #[test]
    fn a_sync_between_steps_has_nothing_to_do_at_the_start_of_a_cycle() {
        let lookahead = Lookahead::new(3, 0.5);
        assert_eq!(CycleState::new().next_sync(), flags::INIT);
        let (_, cycle) = fused(Some(lookahead), false, 3);
        assert_eq!(cycle.next_sync(), 0);
        let (_, cycle) = fused(Some(lookahead), false, 4);
        assert_eq!(cycle.next_sync(), flags::SYNC | flags::FIXED);
    }

    #[test]
    fn a_round_has_several_tasks() {
        const TASK: u32 = flags::UPDATE | tasks::TASK;
        let lookahead = Lookahead::new(2, 0.5).tasks(3);
        let (bits, cycle) = fused(Some(lookahead), false, 8);
        assert_eq!(bits, [FIRST, TASK, 1, TASK, 1, SYNC, 1, TASK]);
        assert_eq!((cycle.count, cycle.position), (8, 2));
        let (bits, _) = fused(Some(lookahead.k(1)), false, 4);
        assert_eq!(bits, [FIRST | TASK, TASK, SYNC, TASK]);
        let (_, cycle) = fused(Some(lookahead.policy(StatePolicy::Reset)), false, 5);
        assert_eq!((cycle.count, cycle.position), (1, 5));
        let at = |position| CycleState::at(0, position, false);
        let numbers = |between| [0, 1, 2, 3, 4, 5].map(|position| at(position).task(&lookahead, between));
        assert_eq!(numbers(false), [1, 1, 2, 2, 3, 3]);
        assert_eq!(numbers(true), [0, 1, 0, 2, 0, 3]);
    }

    #[test]
    fn a_group_frozen_within_a_round_ends_it_and_rests() {
        let lookahead = Lookahead::new(2, 0.5).tasks(2);
        let (_, mut cycle) = fused(Some(lookahead), false, 1);
        let bits: Vec<Phases> = (0..5)
            .map(|_| {
                let phases = cycle.next_step(Some(&lookahead), None, true);
                cycle.step_taken(phases, Some(&lookahead));
                phases
            })
            .collect();
        assert_eq!(bits, [[tasks::TASK, 0], [0, 0], [flags::SYNC, 0], [0, 0], [0, 0]]);
    }

    #[test]
    fn the_rule_alone_only_updates() {
        let (bits, cycle) = fused(None, false, 2);
        assert_eq!(bits, [flags::UPDATE, flags::UPDATE]);
        assert_eq!(cycle.position, 0);
        assert_eq!(fused(None, true, 2).0, [0, 0]);
    }

    #[test]
    fn iterates_are_kept_where_they_count() {
        let lookahead = Some(Lookahead::new(4, 0.5));
        let mut cycle = CycleState::new();
        let mut step = |frozen, whole| {
            cycle.whole &= whole;
            let mut phases = cycle.next_step(lookahead.as_ref(), Some(GradientAt::LastStep), frozen);
            cycle.keep(&[1, 3], &mut phases);
            cycle.step_taken(phases, lookahead.as_ref());
            (phases, cycle.kept(&[1, 3]).to_vec())
        };
        let [first, second] = [0, 1].map(|plane| iterate::KEEP | plane << iterate::PLANE);
        assert_eq!(step(true, true), ([flags::INIT, 0], vec![]));
        assert_eq!(step(false, true), ([1, 0], vec![]));
        // A group frozen within a cycle keeps its weights as they stay.
        assert_eq!(step(true, true), ([first, 0], vec![1]));
        assert_eq!(step(false, true), ([1, 0], vec![1]));
        assert_eq!(step(false, true), ([1 | second, flags::SYNC], vec![]));
        assert_eq!(step(false, true).0, [1, 0]);
        assert_eq!(step(false, false), ([1 | first, 0], vec![]));
        assert_eq!(step(false, true).0, [1, 0]);
        assert_eq!(step(false, true).0, [1 | second, flags::SYNC | flags::FIXED]);
        assert_eq!((step(false, true).0, step(false, true)), ([1, 0], ([1 | first, 0], vec![1])));
    }

    #[test]
    fn an_adaptive_sync_has_a_dispatch_of_its_own() {
        let lookahead = Some(Lookahead::new(2, 0.5));
        let (last, _) = run(lookahead, Some(GradientAt::LastStep), false, 4);
        assert_eq!(last, [[FIRST, 0], [1, flags::SYNC], [1, 0], [1, flags::SYNC]]);
        let (at_sync, cycle) = run(lookahead, Some(GradientAt::Synchronised), false, 6);
        assert_eq!(at_sync, [[FIRST, 0], [1, 0], [0, flags::SYNC], [1, 0], [1, 0], [0, flags::SYNC]]);
        assert_eq!((cycle.count, cycle.position), (4, 0));
    }
}
