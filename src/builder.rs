//! Building an optimizer: all that can be wrong is checked here, before the first step.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    access::{Binder, Slice, check_disjoint, slack},
    clip::Clip,
    controls::ControlRing,
    error::{Error, list},
    gpu,
    group::{DEFAULT_GROUP, Group, GroupState},
    kernels::{self, Access, Kernels},
    layout::{Layout, TensorSpec, VALUE},
    limits::{Bounds, check_bindings},
    lookahead::Lookahead,
    norm::Norm,
    optimizer::{Gradients, Optimizer, Pipelines, WindowBuffers},
    rules::Rule,
    schedule::Schedule,
};

/// A tensor as the caller named it.
#[derive(Debug)]
struct Named {
    name: String,
    shape: Vec<usize>,
    group: String,
    weights: Option<Slice>,
}

/// Settings of an [`Optimizer`] to be; [`Optimizer::builder`] begins one.
#[derive(Debug)]
pub struct Builder {
    rule: Arc<dyn Rule>,
    lookahead: Option<Lookahead>,
    clip: Clip,
    schedule: Schedule,
    groups: Vec<Group>,
    tensors: Vec<Named>,
}

impl Builder {
    pub(crate) fn new(rule: impl Rule + 'static) -> Self {
        Self {
            rule: Arc::new(rule),
            lookahead: None,
            clip: Clip::None,
            schedule: Schedule::default(),
            groups: vec![],
            tensors: vec![],
        }
    }

    /// With Lookahead around the rule. Left out, the rule runs alone and no slow weights are kept.
    pub fn lookahead(self, lookahead: Lookahead) -> Self {
        Self { lookahead: Some(lookahead), ..self }
    }

    /// With gradients clipped.
    pub fn clip(self, clip: Clip) -> Self {
        Self { clip, ..self }
    }

    /// With this learning-rate schedule.
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// With a group of tensors that has settings of its own.
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// With a tensor in the optimizer's own buffers. A shape `[]` is one value.
    pub fn tensor(self, name: &str, shape: &[usize]) -> Self {
        self.tensor_in(DEFAULT_GROUP, name, shape)
    }

    /// With a tensor of a group.
    pub fn tensor_in(mut self, group: &str, name: &str, shape: &[usize]) -> Self {
        let (name, shape, group) = (name.to_owned(), shape.to_vec(), group.to_owned());
        self.tensors.push(Named { name, shape, group, weights: None });
        self
    }

    /// With a tensor whose weights stay in the caller's buffer (usage `STORAGE`).
    /// [`Optimizer::borrow_gradients`] tells where its gradients lie.
    pub fn borrowed(self, name: &str, shape: &[usize], weights: Slice) -> Self {
        self.borrowed_in(DEFAULT_GROUP, name, shape, weights)
    }

    /// [`Self::borrowed`], with a group.
    pub fn borrowed_in(mut self, group: &str, name: &str, shape: &[usize], weights: Slice) -> Self {
        let (name, shape, group) = (name.to_owned(), shape.to_vec(), group.to_owned());
        self.tensors.push(Named { name, shape, group, weights: Some(weights) });
        self
    }

    /// The groups that have tensors, and each tensor's.
    fn assign_groups(&mut self) -> Result<(Vec<GroupState>, Vec<TensorSpec>), Error> {
        let mut groups = vec![Group::new(DEFAULT_GROUP)];
        for group in std::mem::take(&mut self.groups) {
            if group.name.is_empty() {
                return Err(Error::EmptyName { what: "group" });
            }
            if groups.iter().any(|other| other.name == group.name) {
                return Err(Error::DuplicateName { what: "group", name: group.name });
            }
            groups.push(group);
        }
        let specs = self.tensors.iter().map(|tensor| {
            let group = groups.iter().position(|group| group.name == tensor.group);
            let group = group.ok_or_else(|| Error::UnknownName {
                what: "group",
                name: tensor.group.clone(),
                known: list(groups.iter().map(|group| group.name.as_str())),
            })?;
            Ok(TensorSpec { name: tensor.name.clone(), shape: tensor.shape.clone(), group })
        });
        let specs = specs.collect::<Result<Vec<_>, Error>>()?;
        let states = groups.into_iter().map(|group| GroupState::new(group, &self.rule, self.lookahead));
        Ok((states.collect::<Result<_, _>>()?, specs))
    }

    /// Makes the buffers and pipelines on a device.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with names, shapes, hyperparameters, rules or borrowed ranges;
    /// [`Error::Limit`] where the device offers too little; [`Error::OutOfMemory`].
    pub async fn build(mut self, device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Optimizer, Error> {
        let limits = device.limits();
        let bounds = Bounds::new(&limits)?;
        self.clip.check()?;
        self.schedule.check()?;
        let (groups, specs) = self.assign_groups()?;
        let borrowed = self.tensors.iter().any(|tensor| tensor.weights.is_some());
        if borrowed && self.tensors.iter().any(|tensor| tensor.weights.is_none()) {
            return Err(Error::Ownership {
                call: "build",
                problem: "takes tensors of its own or borrowed ones, not both; use two optimizers",
            });
        }
        let slots: Vec<_> = groups.iter().map(|group| group.rule.slots().len()).collect();
        let slack = if borrowed { slack(bounds.chunk) } else { 0 };
        let layout = Layout::new(&specs, &slots, &bounds, slack)?;
        let weights: Option<Vec<Slice>> = self.tensors.into_iter().map(|tensor| tensor.weights).collect();
        if let Some(weights) = &weights {
            check_weights(&layout, weights)?;
        }

        let table = borrowed || matches!(self.clip, Clip::TensorNorm(_));
        for (group, &slots) in groups.iter().zip(&slots) {
            check_bindings(&limits, group, slots, table, self.clip)?;
        }
        let mut kernels = Kernels::new(device, bounds.workgroup);
        let accesses: &[Access] =
            if borrowed { &[Access::Borrowed, Access::Pooled, Access::Far] } else { &[Access::Owned] };
        let access_layouts: Vec<_> =
            accesses.iter().map(|access| kernels.layout(&access.bindings(table))).collect();
        let access_layout = |access: Access| {
            let index = accesses.iter().position(|other| *other == access).unwrap_or(0);
            access_layouts[index].clone()
        };
        let ring = ControlRing::new(device, &kernels, groups.len())?;

        let mut norm = None;
        if self.clip.is_norm() {
            let accesses = (accesses, &access_layout as &(dyn Fn(Access) -> wgpu::BindGroupLayout + Sync));
            norm = Some(Norm::new(device, &mut kernels, &layout, self.clip, accesses.0, accesses.1).await?);
        }
        let mut pipelines = Vec::new();
        for (group, &slots) in groups.iter().zip(&slots) {
            let rule = group.rule.as_ref();
            let own = kernels.layout(&kernels::own_bindings(slots, group.lookahead.as_ref(), self.clip));
            let (mut step, mut swap) = (Vec::new(), Vec::new());
            for &access in accesses {
                let source = kernels::step(rule, access, group.lookahead.as_ref(), self.clip);
                let layouts = [Some(&ring.layout), Some(&access_layout(access)), Some(&own)];
                step.push((access, kernels.step_pipelines(rule.name(), &source, &layouts).await?));
                if group.lookahead.is_some() {
                    let layouts = [None, Some(&access_layout(access)), Some(&own)];
                    swap.push((access, kernels.pipeline("swap", &kernels::swap(access), &layouts).await?));
                }
            }
            pipelines.push(Pipelines { own, step, swap });
        }

        let has_slow = self.lookahead.is_some();
        let (made, problem) = gpu::scoped(device, || {
            let flat = |label: &str, wanted: bool| -> Vec<wgpu::Buffer> {
                let chunks = layout.chunks.iter().filter(|_| wanted);
                chunks.map(|len| buffer(device, label, *len)).collect()
            };
            let own_weights = flat("lookahead weights", !borrowed);
            let gradients = flat("lookahead gradients", !borrowed);
            let slow = flat("lookahead slow weights", has_slow);
            let scales = norm.as_ref().map(|norm| &norm.scales);
            let windows: Vec<_> = layout
                .windows
                .iter()
                .map(|window| {
                    let group = &groups[window.group];
                    let (slots, own) = (slots[window.group], &pipelines[window.group].own);
                    let slow = slow
                        .get(window.chunk)
                        .map(|buffer| Slice::new(buffer, window.offset * VALUE, window.len * VALUE));
                    WindowBuffers::new(device, own, window.len, slots, group, slow.as_ref(), scales)
                })
                .collect();
            let binder =
                Binder { device, layout: &layout, group: &access_layout, table, norm: norm.as_ref() };
            let runs = match &weights {
                None => Ok(binder.owned_all(&own_weights, &gradients)),
                // Syncs between steps read no gradients: the weights stand in for them.
                Some(weights) => binder.borrowed_all(weights, weights, bounds.chunk * VALUE),
            };
            (own_weights, gradients, slow, windows, runs)
        });
        if let Some(problem) = problem.await {
            return Err(gpu::error(device, &problem, "the optimizer's buffers"));
        }
        gpu::check_alive(device, "building the optimizer")?;
        let (own_weights, gradients, slow, windows, runs) = made;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Optimizer {
            device: device.clone(),
            queue: queue.clone(),
            access_layouts: accesses.iter().copied().zip(access_layouts.iter().cloned()).collect(),
            binding_limit: bounds.chunk * VALUE,
            workgroup: bounds.workgroup,
            layout,
            groups,
            pipelines,
            ring,
            norm,
            clip: self.clip,
            schedule: self.schedule,
            weights: own_weights,
            borrowed: weights,
            gradients,
            slow,
            windows,
            own: Arc::new(Gradients { id, runs: runs? }),
            id,
            steps: 0,
            swapped: false,
            norm_is_stale: false,
        })
    }

    /// [`Self::build`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::build`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn build_blocking(self, device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Optimizer, Error> {
        pollster::block_on(self.build(device, queue))
    }
}

/// The next optimizer's id.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A zeroed buffer of `len` values.
pub(crate) fn buffer(device: &wgpu::Device, label: &str, len: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: len * VALUE,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

fn check_weights(layout: &Layout, weights: &[Slice]) -> Result<(), Error> {
    for (tensor, slice) in layout.tensors.iter().zip(weights) {
        slice.check("weights", tensor)?;
    }
    let names = layout.tensors.iter().map(|tensor| format!("weights of `{}`", tensor.name));
    check_disjoint(names.zip(weights).collect())
}
