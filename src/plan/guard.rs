//! The GPU's half of the schedule, which decides whether a step is taken: its state, tables and kernels.

// `shaders/guard.wgsl` keeps the steps taken, each group's inner steps and position in its cycle, and the loss
// scale. The host goes on as if no step were skipped, and each step brings what the GPU will need at that
// step or, where it lags behind, later: the schedule's factor by step, the rule's hyperparameters by count.

use super::{
    group::GroupState,
    program::{BindGroup, Buffer, Id, Kernel, Owner, Program, Purpose, Usage},
    recording::{Bind, Dispatch},
    reductions::{Reduction, Reductions},
};
use crate::{
    config::{
        guard::{Guard, LossScale},
        options::Options,
    },
    error::Error,
    kernels::{self, Binding, Cycles, Decision, Measure},
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
    decide: Decider,
    /// Tells the step's kernels what it would be, and changes nothing else; where something is measured of that.
    preview: Option<Decider>,
    pub tables: Id<Buffer>,
    /// Where each group's tables start, in words.
    starts: Vec<u32>,
    loss_scale: LossScale,
}

/// The kernel that decides or previews.
struct Decider {
    kernel: Id<Kernel>,
    bind_group: Id<BindGroup>,
    /// What the second pass binds that it does, too.
    conclusion: Option<Id<BindGroup>>,
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
        kept: vec![0; groups],
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
    /// Adds it to a program; none where there is nothing that says what is finite.
    pub fn new(
        program: &mut Program,
        limits: &Limits,
        options: &Options,
        guard_state: Id<Buffer>,
        groups: &[GroupState],
        reductions: &Reductions,
    ) -> Result<Option<Self>, Error> {
        let (Some(guard), Some(_)) = (options.guard, reductions.find(Measure::Norm)) else { return Ok(None) };
        let (starts, words) = starts(groups);
        limits.check_binding(4 * words, || format!("the guard's tables of {} groups", groups.len()))?;
        let mut zeros =
            |label, size, usage| program.buffers.push(Buffer::zeros(label, Purpose::Controls, size, usage));
        let live = zeros("lookahead live controls", 2 * (groups.len() * SLOT) as u64, Usage::CONTROL);
        let tables = zeros("lookahead guard tables", 4 * words, Usage::WRITTEN);
        let own = [guard_state, live, tables];
        let scaled = options.norm_is_scaled();
        let cycles = Cycles {
            tasks: groups.iter().any(|group| group.planes.task_mean),
            anderson: options.anderson.is_some(),
        };
        let mut decider = |decision| Decider::new(program, decision, own, reductions, (scaled, cycles));
        let tries = options.tries_updates();
        let decide = decider(if tries { Decision::Tried } else { Decision::AtOnce });
        let previews = tries || options.measures_what_is_told();
        let preview = previews.then(|| decider(Decision::Preview));
        let live = BindGroup::slots("lookahead live controls", program.control, Owner::Program(live));
        let live = program.groups.push(live);
        let loss_scale = guard.scale();
        Ok(Some(Self { state: guard_state, live, decide, preview, tables, starts, loss_scale }))
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
    pub fn decide(&self, slot: u32, previews: bool) -> Option<Dispatch> {
        let decider = if previews { self.preview.as_ref()? } else { &self.decide };
        let conclusion = decider.conclusion.map_or(Bind::Unused, Bind::Program);
        let binds = [Bind::Control(slot), Bind::Program(decider.bind_group), conclusion, Bind::Unused];
        Some(Dispatch { kernel: decider.kernel, binds, workgroups: (1, 1) })
    }
}

impl Decider {
    /// `own`: the guard's state, live controls and tables. Whether gradients are scaled, and what cycles there are.
    fn new(
        program: &mut Program,
        decision: Decision,
        own: [Id<Buffer>; 3],
        reductions: &Reductions,
        (scaled, cycles): (bool, Cycles),
    ) -> Self {
        let conclusion = reductions.find(decision.after()).and_then(Reduction::conclusion);
        let concludes = conclusion.map(|_| (scaled, reductions.shape()));
        // What it is told by passes before; what it concludes is bound with that.
        let reads = |measure| measure != decision.after() || conclusion.is_none();
        let of_update = (decision == Decision::Tried).then_some(Measure::Tried);
        let found = [Some(Measure::Norm), of_update].into_iter().flatten().filter(|measure| reads(*measure));
        let found = found.filter_map(|measure| reductions.find(measure)).map(|reduction| reduction.results);
        let found: Vec<_> = found.collect();
        let written = (0..).zip(own).map(|(binding, buffer)| (binding, Binding::ReadWrite, buffer));
        let read = (3..).zip(found).map(|(binding, buffer)| (binding, Binding::Read, buffer));
        let all: Vec<_> = written.chain(read).collect();
        let layout = program.layout(all.iter().map(|(binding, kind, _)| (*binding, *kind)).collect());
        let bind_group =
            BindGroup::whole("lookahead guard", layout, all.into_iter().map(|(.., buffer)| buffer));
        let bind_group = program.groups.push(bind_group);
        let mut layouts = vec![Some(program.control), Some(layout)];
        layouts.extend(conclusion.map(|(layout, _)| Some(layout)));
        let kernel = program.kernel("guard", &kernels::decide(decision, concludes, cycles), &layouts);
        Self { kernel, bind_group, conclusion: conclusion.map(|(_, bind_group)| bind_group) }
    }
}
