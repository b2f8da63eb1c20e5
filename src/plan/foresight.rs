//! What the steps to come will be told, if nothing is set between them: it can be written before it is due.

use super::{cycle::CycleState, event::Event, recording::Recording, whole::Plan};
use crate::layout::params::SLOT;

/// What looking ahead takes, used again.
#[derive(Debug, Default)]
pub(crate) struct Foresight {
    event: Event,
    told: Recording,
    cycles: Vec<CycleState>,
}

impl Plan {
    /// Adds to `words` what up to `steps` steps after this event will be told, as far as so many slots go. A guess: rules
    /// may be set, weights loaded and groups frozen before.
    pub(crate) fn foresee(
        &mut self,
        event: &Event,
        (steps, slots): (u32, u32),
        foresight: &mut Foresight,
        words: &mut Vec<u8>,
    ) {
        // A function of the caller's is asked once a step.
        if event.command != 0 || self.state.schedule.is_custom() {
            return;
        }
        let Foresight { event: next, told, cycles } = foresight;
        cycles.clear();
        cycles.extend(self.state.groups.iter().map(|group| group.cycle));
        let (done, accumulated) = (self.state.steps, self.state.accumulated);
        let moved = self.state.slow_weights_moved;
        self.pass(event);
        told.clear();
        for _ in 0..steps {
            if !self.accumulates(next) {
                let Ok(factor) = self.checked_factor() else { break };
                self.next_step(factor, None, next);
            }
            if self.tell(next, told).is_err() || told.control_slots() > slots {
                break;
            }
            self.pass(next);
        }
        words.extend_from_slice(&told.controls[..told.controls.len().min(slots as usize * SLOT)]);
        for (group, cycle) in self.state.groups.iter_mut().zip(cycles) {
            group.cycle = *cycle;
        }
        (self.state.steps, self.state.accumulated) = (done, accumulated);
        self.state.slow_weights_moved = moved;
    }

    /// After a step or a micro-batch.
    fn pass(&mut self, event: &Event) {
        if event.is_step {
            self.step_taken(event);
        } else {
            self.accumulated();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Builder, Optimizer,
        config::{
            accumulate::Accumulation,
            alpha::{AdaptiveAlpha, GradientAt},
            average::Average,
            group::Group,
            guard::Guard,
            lookahead::{Lookahead, StatePolicy},
            schedule::Schedule,
        },
        layout::limits::Limits,
        rules::{AdaFactor, Adam, RAdam},
    };

    fn plan(set: impl FnOnce(Builder) -> Builder) -> Plan {
        let builder = Optimizer::builder(RAdam::new(0.01)).lookahead(Lookahead::new(3, 0.5));
        let builder = builder.schedule(Schedule::cosine(4, 20, 0.1)).group(Group::new("other").k(2));
        set(builder.tensor("a", &[3, 5]).tensor_in("other", "b", &[7])).plan(&Limits::default()).unwrap()
    }

    /// What each call of `step` is told, and what was foreseen of the calls after it.
    fn told(plan: &mut Plan, calls: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (mut event, mut recording, mut foresight) = Default::default();
        let call = |_| {
            if !plan.accumulates(&mut event) {
                plan.next_step(plan.checked_factor().unwrap(), None, &mut event);
            }
            plan.record(&event, &plan.own_placement(), &mut recording).unwrap();
            let mut foreseen = Vec::new();
            plan.foresee(&event, (5, 1000), &mut foresight, &mut foreseen);
            plan.recorded(&event);
            plan.pass(&event);
            (recording.controls.clone(), foreseen)
        };
        (0..calls).map(call).collect()
    }

    #[test]
    fn the_next_steps_are_foreseen() {
        let adaptive = |at| move |builder: Builder| builder.adaptive(AdaptiveAlpha::new(0.1).gradient(at));
        let reset = |builder: Builder| builder.lookahead(Lookahead::new(4, 0.5).policy(StatePolicy::Reset));
        let mut plans = [
            plan(|builder| builder),
            plan(adaptive(GradientAt::Synchronised)),
            plan(adaptive(GradientAt::LastStep)),
            plan(reset),
            plan(|builder| builder.accumulate(Accumulation::mean(3)).average(Average::Ema { decay: 0.9 })),
            plan(|builder| builder.guard(Guard::default()).average(Average::Swa { every: 3, from: 2 })),
            plan(|builder| builder.group(Group::new("factored").rule(AdaFactor::new(0.1)))),
        ];
        for (number, plan) in plans.iter_mut().enumerate() {
            let calls = told(plan, 24);
            for (call, (_, foreseen)) in calls[..18].iter().enumerate() {
                let next: Vec<u8> =
                    calls[call + 1..].iter().take(5).flat_map(|(words, _)| words.clone()).collect();
                assert!(!next.is_empty() && *foreseen == next, "call {call} of plan {number}");
            }
        }
    }

    #[test]
    fn no_more_slots_are_taken_than_there_are_and_nothing_changes() {
        let mut plan = plan(|builder| builder);
        let mut event = Event::default();
        plan.next_step(1.0, None, &mut event);
        let before = format!("{:?}", plan.state);
        let mut words = Vec::new();
        plan.foresee(&event, (9, 5), &mut Foresight::default(), &mut words);
        assert_eq!(words.len(), 5 * SLOT);
        assert_eq!(format!("{:?}", plan.state), before);
    }

    #[test]
    fn a_schedule_of_the_callers_is_not_asked_ahead() {
        let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = asked.clone();
        let schedule = Schedule::custom(move |step| {
            seen.lock().unwrap().push(step);
            1.0
        });
        let mut plan = plan(|builder| builder.schedule(schedule));
        assert!(told(&mut plan, 3).iter().all(|(_, foreseen)| foreseen.is_empty()));
        assert_eq!(*asked.lock().unwrap(), [0, 1, 2]);
        let adam = Optimizer::builder(Adam::new(0.1)).schedule(Schedule::constant()).tensor("w", &[1]);
        let foreseen = &told(&mut adam.plan(&Limits::default()).unwrap(), 1)[0].1;
        assert_eq!(foreseen.len(), 5 * SLOT);
    }
}
