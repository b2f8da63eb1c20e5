//! What is kept for each weight besides the weights, gradients and slow weights: planes of one buffer a window.

use super::field::Field;
use crate::{
    config::{alpha::Curvature, anderson::Anderson, lookahead::Lookahead, options::Options},
    rules::{Rule, Slot},
};

/// Which planes a group's windows have, in their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planes {
    /// The rule's state.
    pub slots: Vec<Slot>,
    /// A slow copy of each slot follows.
    pub slow_slots: bool,
    /// The outer step's buffers.
    pub outer: Vec<Slot>,
    /// The empirical Fisher.
    pub fisher: bool,
    /// The curvature that the caller writes.
    pub given: bool,
    /// The steps of a cycle before which the weights are kept, for Anderson acceleration, one plane each.
    pub iterates: Vec<u32>,
    pub average: bool,
    /// The sum of the micro-batches' gradients so far.
    pub accumulated: bool,
    /// The mean of the weights that the tasks of a round came to.
    pub task_mean: bool,
    /// The mini-batch's gradient at the slow weights and the full one there, which the caller writes.
    pub reduced: bool,
    /// The slot that holds the second moment.
    moment: Option<usize>,
}

impl Planes {
    pub fn new(rule: &dyn Rule, lookahead: Option<&Lookahead>, options: &Options) -> Self {
        let slots = rule.slots();
        let curvature = options.adaptive.filter(|_| lookahead.is_some()).map(|adaptive| adaptive.curvature);
        let moment = rule.second_moment(1).map(|moment| moment.slot);
        Self {
            slow_slots: lookahead.is_some_and(|lookahead| lookahead.policy.keeps_slow_state()),
            outer: if lookahead.is_some() { options.outer.slots() } else { vec![] },
            fisher: match curvature {
                Some(Curvature::Fisher { .. }) => true,
                Some(Curvature::Corrected) => moment.is_none(),
                _ => false,
            },
            given: curvature == Some(Curvature::Given),
            iterates: iterates(lookahead, options.anderson),
            average: options.average.is_some(),
            accumulated: options.accumulate.is_some(),
            task_mean: lookahead.is_some_and(Lookahead::has_tasks),
            reduced: options.variance_reduced && lookahead.is_some(),
            slots,
            moment,
        }
    }

    pub fn slow_at(&self) -> usize {
        self.slots.len()
    }

    pub fn outer_at(&self) -> usize {
        self.slow_at() + if self.slow_slots { self.slots.len() } else { 0 }
    }

    pub fn fisher_at(&self) -> usize {
        self.outer_at() + self.outer.len()
    }

    pub fn given_at(&self) -> usize {
        self.fisher_at() + usize::from(self.fisher)
    }

    pub fn iterates_at(&self) -> usize {
        self.given_at() + usize::from(self.given)
    }

    pub fn average_at(&self) -> usize {
        self.iterates_at() + self.iterates.len()
    }

    pub fn accumulated_at(&self) -> usize {
        self.average_at() + usize::from(self.average)
    }

    pub fn task_mean_at(&self) -> usize {
        self.accumulated_at() + usize::from(self.accumulated)
    }

    pub fn snapshot_gradients_at(&self) -> usize {
        self.task_mean_at() + usize::from(self.task_mean)
    }

    pub fn full_gradients_at(&self) -> usize {
        self.snapshot_gradients_at() + usize::from(self.reduced)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.full_gradients_at() + usize::from(self.reduced)
    }

    /// The plane of the curvature, if there is one.
    pub fn curvature_at(&self) -> Option<usize> {
        if self.fisher {
            return Some(self.fisher_at());
        }
        if self.given { Some(self.given_at()) } else { self.moment }
    }

    /// What each plane starts as.
    pub fn initial(&self) -> Vec<f32> {
        let slots = self.slots.iter().map(|slot| slot.initial);
        let copies = slots.clone().filter(|_| self.slow_slots);
        let mut initial: Vec<f32> = slots.chain(copies).collect();
        initial.resize(self.count(), 0.0);
        initial
    }

    /// What each plane is, in their order.
    pub fn fields(&self) -> Vec<Field<'static>> {
        let slots = self.slots.iter().map(|slot| Field::State(slot.name));
        let copies = self.slots.iter().filter(|_| self.slow_slots).map(|slot| Field::SlowState(slot.name));
        let outer = self.outer.iter().map(|slot| Field::Outer(slot.name));
        let iterates = self.iterates.iter().map(|step| Field::Iterate(*step));
        let curvature = [(self.fisher, Field::Fisher), (self.given, Field::Curvature)];
        let last = [
            (self.average, Field::Average),
            (self.accumulated, Field::Accumulated),
            (self.task_mean, Field::TaskMean),
            (self.reduced, Field::SnapshotGradients),
            (self.reduced, Field::FullGradients),
        ];
        let there = |(there, field): (bool, Field<'static>)| there.then_some(field);
        let first = slots.chain(copies).chain(outer).chain(curvature.into_iter().filter_map(there));
        first.chain(iterates).chain(last.into_iter().filter_map(there)).collect()
    }
}

/// The steps of a cycle before which the weights are kept.
pub(crate) fn iterates(lookahead: Option<&Lookahead>, anderson: Option<Anderson>) -> Vec<u32> {
    anderson.zip(lookahead).map_or(vec![], |(anderson, lookahead)| anderson.iterates(lookahead.k))
}
