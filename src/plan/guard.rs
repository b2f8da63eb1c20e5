//! The GPU's half of the schedule, which decides whether a step is taken: its state, tables and kernels.

// `shaders/guard.wgsl` keeps the steps taken, each group's inner steps and position in its cycle, and the loss
// scale. The host goes on as if no step were skipped, and each step brings what the GPU will need at that
// step or, where it lags behind, later: the schedule's factor by step, the rule's hyperparameters by count.

use super::{
    group::GroupState,
    program::{BindGroup, Buffer, Id, Kernel, Owner, Program, Purpose, Usage},
    recording::{Bind, Dispatch},
};
use crate::{
    config::guard::{Guard, LossScale},
    error::Error,
    kernels::{self, Binding, Decision},
    layout::{
        guard_state::{Cycle, GuardState},
        limits::Limits,
        params::{GuardControl, ROWS, SLOT, row},
    },
};

/// What a guard has on the GPU.
pub(crate) struct GuardPlan {
    pub state: Id<Buffer>,
    /// What the step's kernels are told: as a chunk of the control ring, two slots a group.
    live: Id<BindGroup>,
    decide: Id<Kernel>,
    /// Tells the step's kernels what it would be, and changes nothing else.
    preview: Id<Kernel>,
    bind_group: Id<BindGroup>,
    pub tables: Id<Buffer>,
    /// Where each group's tables start, in words.
    starts: Vec<u32>,
    loss_scale: LossScale,
}

/// A guard's state at its start.
pub(super) fn guard_state(program: &mut Program, guard: Guard, groups: usize) -> Id<Buffer> {
    let scale = guard.scale().initial as f32;
    let words = GuardState {
        steps: 0,
        skipped: 0,
        tracker: 0,
        scale,
        unscale: scale.recip(),
        average_start: 0,
        groups: vec![(0, 0); groups],
        cycles: vec![Cycle::of(None); groups],
    };
    program.buffers.push(Buffer::words("lookahead clock", words.encode(), Usage::VALUES))
}

/// Where each group's tables start, in words, and how many words they are in all.
fn starts(groups: &[GroupState]) -> (Vec<u32>, u64) {
    let mut words = 0;
    let start = |group: &GroupState| {
        let start = words as u32;
        words += ROWS * ((row::STEP_WORDS + row::HYPER) as u64 + u64::from(group.hypers));
        start
    };
    let starts = groups.iter().map(start).collect();
    (starts, words)
}

impl GuardPlan {
    /// Adds it to a program. `results`: the norm's, which say what is
    /// finite, and those of the updates that were tried, if they are.
    pub fn new(
        program: &mut Program,
        limits: &Limits,
        guard: Guard,
        guard_state: Id<Buffer>,
        groups: &[GroupState],
        (results, tried): (Id<Buffer>, Option<Id<Buffer>>),
    ) -> Result<Self, Error> {
        let mut bindings = vec![
            (0, Binding::ReadWrite),
            (1, Binding::ReadWrite),
            (2, Binding::ReadWrite),
            (3, Binding::Read),
        ];
        bindings.extend(tried.map(|_| (4, Binding::Read)));
        let layout = program.layout(bindings);
        let control = program.control;
        let layouts = [Some(control), Some(layout)];
        let decision = if tried.is_some() { Decision::Tried } else { Decision::AtOnce };
        let [decide, preview] = [decision, Decision::Preview]
            .map(|decision| program.kernel("guard", &kernels::decide(decision), &layouts));
        let (starts, words) = starts(groups);
        limits.check_binding(4 * words, || format!("the guard's tables of {} groups", groups.len()))?;
        let mut zeros =
            |label, size, usage| program.buffers.push(Buffer::zeros(label, Purpose::Controls, size, usage));
        let live = zeros("lookahead live controls", 2 * (groups.len() * SLOT) as u64, Usage::CONTROL);
        let tables = zeros("lookahead guard tables", 4 * words, Usage::WRITTEN);
        let all = [guard_state, live, tables, results].into_iter().chain(tried);
        let bind_group = program.groups.push(BindGroup::whole("lookahead guard", layout, all));
        let live = BindGroup::slots("lookahead live controls", control, Owner::Program(live));
        let live = program.groups.push(live);
        let loss_scale = guard.scale();
        Ok(Self { state: guard_state, live, decide, preview, bind_group, tables, starts, loss_scale })
    }

    /// The part of what a group tells the guard that is the guard's own; the rest is the caller's to fill in.
    pub fn control_words(&self, group: usize) -> GuardControl {
        let scale = self.loss_scale;
        GuardControl {
            group: group as u32,
            growth: scale.growth as f32,
            backoff: scale.backoff as f32,
            interval: scale.interval,
            table: self.starts[group],
            ..GuardControl::default()
        }
    }

    /// The byte at which a group's tables start.
    pub fn table_offset(&self, group: usize) -> u64 {
        4 * u64::from(self.starts[group])
    }

    /// What the guard tells a phase of a group's step.
    pub fn control(&self, group: usize, phase: usize) -> Bind {
        Bind::Decided(self.live, (2 * group + phase) as u32)
    }

    /// The decision for one group, which is told in this slot, or a preview of it.
    pub fn decide(&self, slot: u32, previews: bool) -> Dispatch {
        let kernel = if previews { self.preview } else { self.decide };
        let binds = [Bind::Control(slot), Bind::Program(self.bind_group), Bind::Unused, Bind::Unused];
        Dispatch { kernel, binds, workgroups: (1, 1) }
    }
}
