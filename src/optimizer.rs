//! The driver: one schedule over one layout, recorded into the caller's encoder.

use std::{collections::HashMap, sync::Arc};

use crate::{
    access::{Binder, Run, Slice, check_disjoint},
    builder::{Builder, buffer},
    clip::Clip,
    controls::{Control, ControlRing, slot_offset},
    error::{Error, list},
    gpu,
    group::GroupState,
    kernels::{Access, StepPipelines},
    layout::Layout,
    lookahead::{StatePolicy, flags},
    norm::Norm,
    rules::{MAX_SLOTS, Rule, WeightDecay},
    schedule::Schedule,
};

/// An optimizer over named tensors: a rule, with Lookahead around it or alone.
///
/// All calls record or enqueue, and return at once; none but the downloads submits or waits.
pub struct Optimizer {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) access_layouts: Vec<(Access, wgpu::BindGroupLayout)>,
    /// Bytes of the largest binding.
    pub(crate) binding_limit: u64,
    pub(crate) workgroup: u32,
    pub(crate) layout: Layout,
    pub(crate) groups: Vec<GroupState>,
    pub(crate) pipelines: Vec<Pipelines>,
    pub(crate) ring: ControlRing,
    pub(crate) norm: Option<Norm>,
    pub(crate) clip: Clip,
    pub(crate) schedule: Schedule,
    /// One buffer a chunk; none where weights are borrowed.
    pub(crate) weights: Vec<wgpu::Buffer>,
    /// One slice a tensor, where weights are borrowed.
    pub(crate) borrowed: Option<Vec<Slice>>,
    pub(crate) gradients: Vec<wgpu::Buffer>,
    pub(crate) slow: Vec<wgpu::Buffer>,
    pub(crate) windows: Vec<WindowBuffers>,
    /// The runs over our own buffers; where weights are borrowed, over the weights alone.
    pub(crate) own: Arc<Gradients>,
    /// Differs between any two optimizers of a process.
    pub(crate) id: u64,
    pub(crate) steps: u64,
    /// Fast and slow weights are exchanged.
    pub(crate) swapped: bool,
    /// A group was frozen, and its partial sums are still there.
    pub(crate) norm_is_stale: bool,
}

/// One group's pipelines, by access.
pub(crate) struct Pipelines {
    /// Bind group layout of what is the optimizer's own.
    pub own: wgpu::BindGroupLayout,
    pub step: Vec<(Access, StepPipelines)>,
    pub swap: Vec<(Access, wgpu::ComputePipeline)>,
}

/// One window's state, and the bind group of all that is the optimizer's own.
pub(crate) struct WindowBuffers {
    /// All slots, side by side.
    pub state: Option<wgpu::Buffer>,
    /// Their slow copies, where the policy is to interpolate.
    pub slow_state: Option<wgpu::Buffer>,
    pub bind_group: wgpu::BindGroup,
}

impl WindowBuffers {
    pub fn new(
        device: &wgpu::Device,
        layout: &wgpu::BindGroupLayout,
        len: u64,
        slots: usize,
        group: &GroupState,
        slow: Option<&Slice>,
        scales: Option<&wgpu::Buffer>,
    ) -> Self {
        let policy = group.lookahead.map(|lookahead| lookahead.policy);
        let slots =
            |label, wanted: bool| (wanted && slots > 0).then(|| buffer(device, label, slots as u64 * len));
        let state = slots("lookahead state", true);
        let slow_state = slots("lookahead slow state", policy == Some(StatePolicy::Interpolate));
        let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let mut entries = Vec::new();
        entries.extend(state.as_ref().map(|buffer| entry(0, buffer.as_entire_binding())));
        entries.extend(slow.map(|slice| entry(1, slice.binding())));
        entries.extend(slow_state.as_ref().map(|buffer| entry(2, buffer.as_entire_binding())));
        entries.extend(scales.map(|buffer| entry(3, buffer.as_entire_binding())));
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("lookahead own"),
            layout,
            entries: &entries,
        });
        Self { state, slow_state, bind_group }
    }
}

/// Where the gradients of borrowed tensors lie; [`Optimizer::borrow_gradients`] makes one. Several may be
/// used in turn.
#[derive(Debug)]
pub struct Gradients {
    /// The optimizer's.
    pub(crate) id: u64,
    pub(crate) runs: Vec<Run>,
}

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Optimizer")
            .field("tensors", &self.layout.tensors.len())
            .field("groups", &self.groups)
            .field("clip", &self.clip)
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

    /// Records one inner step of every group, with the sync in it where a cycle ends.
    ///
    /// Everything recorded earlier in `encoder` comes before it, and what the steps of many encoders do
    /// does not depend on where one ends and the next begins. Encoders must be submitted in the order of
    /// their steps.
    ///
    /// # Errors
    ///
    /// [`Error::LearningRate`] where the schedule gives none, [`Error::Swapped`] between two
    /// [`swap_slow`](Self::swap_slow), [`Error::Ownership`] where gradients are borrowed. Nothing was
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
    /// As [`Self::step`].
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
        self.record_step(encoder, gradients)
    }

    fn record_step(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        gradients: &Gradients,
    ) -> Result<(), Error> {
        self.check_not_swapped("step")?;
        let factor = self.schedule.factor(self.steps);
        for group in &self.groups {
            let value = group.learning_rate_at(factor);
            if !((value as f32).is_finite() && value >= 0.0) {
                return Err(Error::LearningRate { step: self.steps, group: group.name.clone(), value });
            }
        }
        let plan: Vec<u32> = self
            .groups
            .iter()
            .map(|group| group.clock.next_step(group.lookahead.as_ref(), group.frozen))
            .collect();
        self.record(encoder, &plan, factor, gradients)?;
        for (group, bits) in self.groups.iter_mut().zip(plan) {
            group.clock.step_taken(bits, group.lookahead.as_ref());
        }
        self.steps += 1;
        Ok(())
    }

    /// Records one dispatch a run for every group whose flags are not 0.
    fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        plan: &[u32],
        factor: f64,
        gradients: &Gradients,
    ) -> Result<(), Error> {
        self.ring.begin();
        let mut slots = vec![0; plan.len()];
        let mut count = 0;
        for ((group, &flags), slot) in self.groups.iter().zip(plan).zip(&mut slots) {
            if flags == 0 {
                continue;
            }
            (*slot, count) = (count, count + 1);
            let learning_rate = group.learning_rate_at(factor);
            let control = control(group, flags, learning_rate, self.clip);
            self.ring.push(&control, |out| group.rule.hyper(group.clock.count + 1, out));
        }
        if count == 0 {
            return Ok(());
        }
        let (controls, first) = self.ring.write(&self.queue, encoder)?;
        let updates = |window: usize| plan[self.layout.windows[window].group] & flags::UPDATE != 0;
        let norm = self.norm.as_ref().filter(|_| plan.iter().any(|bits| bits & flags::UPDATE != 0));
        if let Some(norm) = norm
            && std::mem::take(&mut self.norm_is_stale)
        {
            norm.clear(encoder);
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("lookahead step"),
            timestamp_writes: None,
        });
        if let Some(norm) = norm {
            for run in gradients.runs.iter().filter(|run| updates(run.window)) {
                norm.record_partial(&mut pass, run);
            }
            norm.record_finish(&mut pass);
        }
        for run in &gradients.runs {
            let group = self.layout.windows[run.window].group;
            if plan[group] == 0 {
                continue;
            }
            if let Some(pipeline) = by_access(&self.pipelines[group].step, run.access) {
                pass.set_pipeline(pipeline.with(plan[group]));
                pass.set_bind_group(0, &controls, &slot_offset(first, slots[group]));
                self.dispatch(&mut pass, run);
            }
        }
        Ok(())
    }

    /// Groups 1 and 2 and the dispatch of one run.
    fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, run: &Run) {
        pass.set_bind_group(1, &run.bind_group, &[]);
        pass.set_bind_group(2, &self.windows[run.window].bind_group, &[]);
        pass.dispatch_workgroups(run.threads.div_ceil(self.workgroup), 1, 1);
    }

    /// Synchronises now, in the middle of a cycle or not, and begins the next cycle: at the end of
    /// training, say. Groups without Lookahead are left alone.
    ///
    /// # Errors
    ///
    /// [`Error::NoLookahead`], [`Error::Swapped`].
    pub fn sync_now(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        self.between_steps(encoder, "sync_now", |group| group.clock.next_sync())?;
        for group in &mut self.groups {
            if let Some(lookahead) = group.lookahead {
                group.clock.synced(&lookahead);
            }
        }
        Ok(())
    }

    /// The slow weights start again as a copy of the fast ones, and a new cycle begins: after weights were
    /// loaded, say. The first step does this by itself.
    ///
    /// # Errors
    ///
    /// As [`Self::sync_now`].
    pub fn reseed(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        self.between_steps(encoder, "reseed", |_| flags::SEED)?;
        for group in &mut self.groups {
            (group.clock.seed, group.clock.position) = (false, 0);
        }
        Ok(())
    }

    fn between_steps(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        call: &'static str,
        flags: impl Fn(&GroupState) -> u32,
    ) -> Result<(), Error> {
        self.check_lookahead()?;
        self.check_not_swapped(call)?;
        let plan: Vec<u32> = self.groups.iter().map(flags).collect();
        let own = self.own.clone();
        self.record(encoder, &plan, 0.0, &own)
    }

    /// Exchanges fast and slow weights in place, so that kernels bound to the weights evaluate the slow
    /// ones. Call it again before the next step. No memory is needed, and no bit of either is lost.
    ///
    /// # Errors
    ///
    /// [`Error::NoLookahead`].
    pub fn swap_slow(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        self.check_lookahead()?;
        if self.groups.iter().any(|group| group.clock.seed) {
            self.reseed(encoder)?;
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("lookahead swap"),
            timestamp_writes: None,
        });
        for run in &self.own.runs {
            let group = self.layout.windows[run.window].group;
            if let Some(pipeline) = by_access(&self.pipelines[group].swap, run.access) {
                pass.set_pipeline(pipeline);
                self.dispatch(&mut pass, run);
            }
        }
        drop(pass);
        self.swapped = !self.swapped;
        Ok(())
    }

    /// Tells where the gradients of borrowed tensors lie: one slice for each tensor, by name, in any order.
    /// Making one costs bind groups and small tables; keep and reuse it where the buffers stay.
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
            slice.check("gradients", &tensors[index])?;
            if gradients[index].replace(slice).is_some() {
                return Err(Error::DuplicateName { what: "tensor", name: name.to_string() });
            }
        }
        if let Some(index) = gradients.iter().position(Option::is_none) {
            return Err(Error::UnknownName {
                what: "gradient of the tensor",
                name: tensors[index].name.clone(),
                known: list(slices.iter().map(|(name, _)| *name)),
            });
        }
        let gradients: Vec<Slice> = gradients.into_iter().flatten().cloned().collect();
        let ranges =
            |role: &'static str| tensors.iter().map(move |tensor| format!("{role} of `{}`", tensor.name));
        let all = ranges("weights").zip(weights).chain(ranges("gradients").zip(&gradients));
        check_disjoint(all.collect())?;
        let (runs, problem) = gpu::scoped(&self.device, || self.borrowed_runs(weights, &gradients));
        match problem.await {
            Some(problem) => Err(gpu::error(&self.device, &problem, "the gradients' bind groups")),
            None => Ok(Gradients { id: self.id, runs: runs? }),
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
        let (layout, norm) = (&self.layout, self.norm.as_ref());
        let binder = Binder { device: &self.device, layout, group: &group, table: true, norm };
        binder.borrowed_all(weights, gradients, self.binding_limit)
    }

    pub(crate) fn check_not_swapped(&self, call: &'static str) -> Result<(), Error> {
        if self.swapped { Err(Error::Swapped { call }) } else { Ok(()) }
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

/// What a group's dispatch is told.
fn control(group: &GroupState, flags: u32, learning_rate: f64, clip: Clip) -> Control {
    let (l2, shrink, decay) = match group.weight_decay {
        WeightDecay::None => (0.0, 0.0, 0.0),
        WeightDecay::L2(factor) => (factor, 0.0, 0.0),
        WeightDecay::Decoupled(factor) => (0.0, learning_rate * factor, 0.0),
        WeightDecay::Direction(factor) => (0.0, 0.0, factor),
    };
    let mut initial = [0.0; MAX_SLOTS];
    for (value, slot) in initial.iter_mut().zip(group.rule.slots()) {
        *value = slot.initial;
    }
    Control {
        flags,
        lr: learning_rate as f32,
        pull: group.lookahead.map_or(0.0, |lookahead| 1.0 - lookahead.alpha) as f32,
        clip: clip.bound() as f32,
        l2: l2 as f32,
        shrink: shrink as f32,
        decay: decay as f32,
        padding: 0,
        initial,
    }
}
