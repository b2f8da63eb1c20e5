//! An optimizer without a device: its layout, its program, and where it stands.

use super::{
    access::ByAccess,
    group::GroupState,
    guard::GuardPlan,
    placement::{Place, Placement, Placer},
    program::{BindGroup, BindGroupLayout, Buffer, Id, Kernel, Program},
    reductions::Reductions,
};
use crate::{
    config::{
        alpha::{GradientAt, Scope},
        options::Options,
        schedule::Schedule,
    },
    error::{Error, list},
    kernels::{Recipe, Tensors},
    layout::{params::without_plane, tensors::Layout},
};

/// What an optimizer would be on a device with some [`Limits`](crate::Limits): memory, bytes moved, dispatches.
/// [`Builder::plan`](crate::Builder::plan) makes one, without a device.
pub struct Plan {
    pub(crate) layout: Layout,
    pub(crate) options: Options,
    pub(crate) program: Program,
    pub(crate) kernels: Vec<GroupKernels>,
    pub(crate) access_layouts: ByAccess<Id<BindGroupLayout>>,
    /// Bytes of the largest binding.
    pub(crate) binding_limit: u64,
    /// The kernels know the tensor of a place.
    pub(crate) table: bool,
    pub(crate) reductions: Reductions,
    pub(crate) guard: Option<GuardPlan>,
    /// One buffer a chunk; none where weights are borrowed.
    pub(crate) weights: Vec<Id<Buffer>>,
    pub(crate) gradients: Vec<Id<Buffer>>,
    pub(crate) slow: Vec<Id<Buffer>>,
    pub(crate) half_weights: Vec<Id<Buffer>>,
    pub(crate) windows: Vec<WindowParts>,
    pub(crate) is_borrowed: bool,
    pub(crate) state: State,
}

/// Where training stands, as far as the host knows it.
#[derive(Debug)]
pub(crate) struct State {
    pub groups: Vec<GroupState>,
    pub schedule: Schedule,
    /// Steps recorded.
    pub steps: u64,
    /// Micro-batches accumulated for the next step.
    pub accumulated: u32,
    /// No step has been taken since slow weights last moved or began.
    pub slow_weights_moved: bool,
    /// The step at which the average began.
    pub average_start: u64,
    /// What the weights are exchanged with.
    pub swapped: Option<Swapped>,
    /// A group was frozen, and its partial sums are still there.
    pub norm_is_stale: bool,
    /// Groups whose tables tell a guard of settings that were changed since.
    pub stale_tables: Vec<bool>,
}

impl State {
    /// Before the first step.
    pub(super) fn new(groups: Vec<GroupState>, schedule: Schedule) -> Self {
        let stale_tables = vec![false; groups.len()];
        Self {
            groups,
            schedule,
            steps: 0,
            accumulated: 0,
            slow_weights_moved: true,
            average_start: 0,
            swapped: None,
            norm_is_stale: false,
            stale_tables,
        }
    }
}

/// What the weights are exchanged with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swapped {
    Slow,
    Average,
}

/// One group's kernels.
pub(crate) struct GroupKernels {
    pub step: ByAccess<StepKernels>,
    pub swap_slow: Option<ByAccess<Id<Kernel>>>,
    pub swap_average: Option<ByAccess<Id<Kernel>>>,
}

/// The kernels of a group's step.
pub(crate) struct StepKernels {
    /// By the flags that almost every step has.
    pub known: Vec<(u32, Id<Kernel>)>,
    /// For what a guard may choose in a step, where there is one.
    pub guarded: Option<Id<Kernel>>,
    /// Whatever the flags say: the first step, frozen groups, syncs between steps.
    pub any: Id<Kernel>,
}

impl StepKernels {
    /// The one for a dispatch with these flags.
    pub fn with(&self, bits: u32) -> Id<Kernel> {
        let bits = without_plane(bits);
        let known = self.known.iter().find(|(flags, _)| *flags == bits);
        known.map_or(self.any, |(_, kernel)| *kernel)
    }
}

/// One window's planes, and the bind group of all that is the optimizer's own.
pub(crate) struct WindowParts {
    pub planes: Option<Id<Buffer>>,
    pub bind_group: Id<BindGroup>,
    /// Of the half-width copy of the weights.
    pub copy: Option<Id<BindGroup>>,
}

impl Plan {
    /// How many dispatches a step is, those of reductions and of the guard aside: one for each window of the layout.
    /// Borrowed tensors may need more, by where their buffers lie.
    pub fn dispatches(&self) -> usize {
        self.windows.len()
    }

    /// The placement over the plan's own buffers.
    pub(crate) fn own_placement(&self) -> Placement {
        self.placer().owned(&self.weights, &self.gradients)
    }

    /// The placement over weights of the caller's alone: syncs between steps read no gradients, and the weights stand
    /// in for them.
    pub(crate) fn weights_placement(&self, weights: &[Place]) -> Result<Placement, Error> {
        let placer = Placer { half_gradients: None, ..self.placer() };
        placer.borrowed(weights, weights, self.binding_limit)
    }

    /// The placement over weights and gradients of the caller's.
    pub(crate) fn borrowed_placement(
        &self,
        weights: &[Place],
        gradients: &[Place],
    ) -> Result<Placement, Error> {
        self.placer().borrowed(weights, gradients, self.binding_limit)
    }

    fn placer(&self) -> Placer<'_> {
        Placer {
            layout: &self.layout,
            group: &self.access_layouts,
            table: self.table,
            reductions: &self.reductions,
            half_gradients: self.options.half_gradients,
            pairs: self.program.shape.pairs,
            alphas_of_group: match self.options.scope() {
                Scope::Group => self.options.columns().max(1),
                Scope::Model | Scope::Tensor => 0,
            },
        }
    }

    /// One group's settings as its kernels are composed from.
    pub(crate) fn recipe(&self, group: usize) -> Option<Recipe<'_>> {
        let access = self.access_layouts.accesses().next()?;
        let group = &self.state.groups[group];
        let (rule, lookahead) = (group.rule.as_ref(), group.lookahead.as_ref());
        let (options, shape) = (&self.options, self.program.shape);
        Some(Recipe { rule, lookahead, options, access, shape, tensors: Tensors::default() })
    }

    /// Where the gradient of the adaptive alpha is taken, where a sync has a dispatch of its own.
    pub(crate) fn gradient_at(&self) -> Option<GradientAt> {
        self.options.sync_gradient()
    }

    pub(crate) fn check_not_swapped(&self, call: &'static str) -> Result<(), Error> {
        if self.state.swapped.is_some() { Err(Error::Swapped { call }) } else { Ok(()) }
    }

    pub(crate) fn check_average(&self, call: &'static str) -> Result<(), Error> {
        if self.options.average.is_some() {
            return Ok(());
        }
        Err(Error::UnknownName {
            what: "average",
            name: call.to_owned(),
            known: "none: build with `average`".to_owned(),
        })
    }

    pub(crate) fn check_lookahead(&self) -> Result<(), Error> {
        if self.slow.is_empty() {
            return Err(Error::NoLookahead { of: "the optimizer".to_owned() });
        }
        Ok(())
    }

    /// The schedule's factor at the next step, if every group's learning rate can be used.
    pub(crate) fn checked_factor(&self) -> Result<f64, Error> {
        self.check_factor_of(&self.state.schedule, self.state.steps)
    }

    /// A schedule's factor at a step, if every group's learning rate can be used.
    pub(crate) fn check_factor_of(&self, schedule: &Schedule, step: u64) -> Result<f64, Error> {
        let factor = schedule.factor(step);
        for group in &self.state.groups {
            if !group.can_tell(factor) {
                let value = group.learning_rate_at(factor);
                return Err(Error::LearningRate { step, group: group.name.clone(), value });
            }
        }
        Ok(factor)
    }

    pub(crate) fn group(&self, name: &str) -> Result<&GroupState, Error> {
        Ok(&self.state.groups[self.group_index(name)?])
    }

    pub(crate) fn group_mut(&mut self, name: &str) -> Result<&mut GroupState, Error> {
        let index = self.group_index(name)?;
        Ok(&mut self.state.groups[index])
    }

    pub(crate) fn group_index(&self, name: &str) -> Result<usize, Error> {
        let found = self.state.groups.iter().position(|group| group.name == name);
        found.ok_or_else(|| Error::UnknownName {
            what: "group",
            name: name.to_owned(),
            known: list(self.state.groups.iter().map(|group| group.name.as_str())),
        })
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("tensors", &self.layout.tensors.len())
            .field("groups", &self.state.groups)
            .field("options", &self.options)
            .field("schedule", &self.state.schedule)
            .field("steps", &self.state.steps)
            .finish_non_exhaustive()
    }
}
