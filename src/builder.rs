//! Building an optimizer: all that can be wrong is checked here, before the first step.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    access::{Binder, Slice, check_disjoint, slack},
    config::{
        accumulate::Accumulation,
        alpha::{AdaptiveAlpha, Curvature, GradientAt, Scope},
        average::Average,
        clip::Clip,
        group::{DEFAULT_GROUP, Group},
        guard::Guard,
        lookahead::Lookahead,
        options::Options,
        outer::Outer,
        precision::{Half, bytes},
        schedule::Schedule,
    },
    controls::ControlRing,
    error::{Error, list},
    gpu,
    group::GroupState,
    guard::GuardState,
    kernels::{Access, Binding, Measure, Recipe},
    layout::{Layout, TensorSpec, VALUE, Window},
    limits::{Bounds, check_bindings},
    lookahead::flags,
    memory::Tally,
    optimizer::{Gradients, Optimizer, Pipelines, WindowBuffers},
    pipelines::Kernels,
    planes::Planes,
    reduction::{BindGroupLayouts, Reductions},
    rules::Rule,
    waiting::Waiter,
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
    options: Options,
    schedule: Schedule,
    groups: Vec<Group>,
    tensors: Vec<Named>,
}

impl Builder {
    pub(crate) fn new(rule: impl Rule + 'static) -> Self {
        Self {
            rule: Arc::new(rule),
            lookahead: None,
            options: Options::default(),
            schedule: Schedule::default(),
            groups: vec![],
            tensors: vec![],
        }
    }

    /// With Lookahead around the rule. Left out, the rule runs alone and no slow weights are kept.
    pub fn lookahead(self, lookahead: Lookahead) -> Self {
        Self { lookahead: Some(lookahead), ..self }
    }

    /// With all of these, instead of those set before.
    pub fn options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// With gradients clipped.
    pub fn clip(mut self, clip: Clip) -> Self {
        self.options.clip = clip;
        self
    }

    /// With this outer step at the syncs, instead of Lookahead's interpolation.
    pub fn outer(mut self, outer: impl Outer + 'static) -> Self {
        self.options.outer = Arc::new(outer);
        self
    }

    /// With an alpha that is found anew at every sync.
    pub fn adaptive(mut self, adaptive: AdaptiveAlpha) -> Self {
        self.options.adaptive = Some(adaptive);
        self
    }

    /// With an average of the weights.
    pub fn average(mut self, average: Average) -> Self {
        self.options.average = Some(average);
        self
    }

    /// With several micro-batches a step.
    pub fn accumulate(mut self, accumulation: Accumulation) -> Self {
        self.options.accumulate = Some(accumulation);
        self
    }

    /// With gradients centralised (Yong et al., 2020): from the gradient of every tensor of two or more
    /// dimensions, the mean over all but the first is taken away, before clipping. A row of one value keeps
    /// its gradient.
    pub fn centralise(mut self) -> Self {
        self.options.centralise = true;
        self
    }

    /// With the objective maximised, as PyTorch's `maximize`: gradients change their sign before clipping, weight decay
    /// and the rule see them. The gradient buffers themselves are left as they are.
    pub fn maximize(mut self) -> Self {
        self.options.maximize = true;
        self
    }

    /// With gradient norms to be read, where nothing is clipped by norm and no guard is set, which take them too: every
    /// step takes the norm, and [`Optimizer::download_gradient_norms`] reads it. Costs one more reading of the
    /// gradient.
    pub fn gradient_norms(mut self) -> Self {
        self.options.gradient_norms = true;
        self
    }

    /// With steps skipped whose gradient is not finite.
    pub fn guard(mut self, guard: Guard) -> Self {
        self.options.guard = Some(guard);
        self
    }

    /// With a half-width copy of the weights, which every step writes along with them;
    /// [`Optimizer::half_weights`] says where.
    pub fn half_weights(mut self, half: Half) -> Self {
        self.options.half_weights = Some(half);
        self
    }

    /// With gradients in half-width.
    pub fn half_gradients(mut self, half: Half) -> Self {
        self.options.half_gradients = Some(half);
        self
    }

    /// With slow weights in bf16, rounded up or down at random so that their mean is exact. The fast weights
    /// restart at the value before rounding.
    pub fn slow_bf16(mut self) -> Self {
        self.options.slow_bf16 = true;
        self
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
        let states = groups
            .into_iter()
            .map(|group| GroupState::new(group, &self.rule, self.lookahead, self.options.maximize));
        Ok((states.collect::<Result<_, _>>()?, specs))
    }

    /// Refuses options that do not go together.
    fn check_options(&self, groups: &[GroupState]) -> Result<(), Error> {
        let options = &self.options;
        options.check()?;
        crate::kernels::check_outer(options.outer.as_ref())?;
        let no_lookahead = |of: &str| Err(Error::NoLookahead { of: of.to_owned() });
        if self.lookahead.is_none() {
            if options.adaptive.is_some() {
                return no_lookahead("an adaptive alpha");
            }
            if options.slow_bf16 {
                return no_lookahead("`slow_bf16`");
            }
            if !options.outer.is_interpolation() {
                return no_lookahead("an outer step");
            }
        }
        if let Some(adaptive) = options.adaptive
            && matches!(adaptive.curvature, Curvature::Raw | Curvature::Root)
            && let Some(group) = groups.iter().find(|group| group.rule.second_moment(1).is_none())
        {
            return Err(Error::Rule {
                rule: group.rule.name().to_owned(),
                problem: format!(
                    "keeps no second moment for the curvature {:?}; take `Corrected` or `Fisher`",
                    adaptive.curvature
                ),
            });
        }
        let kept = |rule: &dyn Rule| match rule.trust() {
            Some(trust) if trust.measure_stores => Some("moves its state on before the trust ratio is known"),
            _ if rule.factored(1).is_some() => {
                Some("has second moments that the driver moves on before the update")
            }
            _ => None,
        };
        if let Some((group, what)) = groups
            .iter()
            .find_map(|group| Some((group, kept(group.rule.as_ref())?)))
            .filter(|_| options.tries_updates())
        {
            let problem =
                format!("{what}, so that a guard cannot check its updates; leave `check_updates` out");
            return Err(Error::Rule { rule: group.rule.name().to_owned(), problem });
        }
        let long_reset = groups.iter().find(|group| {
            let resets = |l: &Lookahead| l.policy.resets() && u64::from(l.k) > crate::guard::ROWS;
            group.lookahead.as_ref().is_some_and(resets)
        });
        if let (Some(group), Some(_)) = (long_reset, options.guard) {
            let value = group.lookahead.map_or(0.0, |lookahead| f64::from(lookahead.k));
            let allowed = "at most 4096 with a guard and the policy reset";
            return Err(Error::Hyperparameter { name: "k".to_owned(), value, allowed });
        }
        Ok(())
    }

    /// Makes the buffers and pipelines on a device.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with names, shapes, hyperparameters, rules or borrowed ranges;
    /// [`Error::Limit`] where the device offers too little; [`Error::OutOfMemory`].
    pub async fn build(mut self, device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Optimizer, Error> {
        let limits = device.limits();
        self.schedule.check()?;
        let (groups, specs) = self.assign_groups()?;
        self.check_options(&groups)?;
        // One micro-batch a step needs no buffer to gather in.
        self.options.accumulate = self.options.accumulate.filter(|accumulate| accumulate.micro_batches > 1);
        let options = self.options;
        let borrowed = self.tensors.iter().any(|tensor| tensor.weights.is_some());
        if borrowed && self.tensors.iter().any(|tensor| tensor.weights.is_none()) {
            return Err(Error::Ownership {
                call: "build",
                problem: "takes tensors of its own or borrowed ones, not both; use two optimizers",
            });
        }
        let accesses: &[Access] =
            if borrowed { &[Access::Borrowed, Access::Pooled, Access::Far] } else { &[Access::Owned] };
        let recipes: Vec<Recipe<'_>> = groups
            .iter()
            .map(|group| Recipe {
                rule: group.rule.as_ref(),
                lookahead: group.lookahead.as_ref(),
                options: &options,
                access: accesses[0],
            })
            .collect();
        let planes: Vec<Planes> = recipes.iter().map(Recipe::planes).collect();
        let counts: Vec<_> = planes.iter().map(Planes::count).collect();
        let bounds = Bounds::new(&limits, counts.iter().copied().max().unwrap_or(0))?;
        let slack = if borrowed { slack(bounds.chunk) } else { 0 };
        let layout = Layout::new(&specs, &counts, &bounds, slack)?;
        let weights: Option<Vec<Slice>> = self.tensors.into_iter().map(|tensor| tensor.weights).collect();
        if let Some(weights) = &weights {
            check_weights(&layout, weights)?;
        }

        // The tables of rows and moments count values in u32.
        for tensor in layout.tensors.iter().filter(|tensor| tensor.len > u64::from(u32::MAX)) {
            let recipe = &recipes[tensor.group];
            let problem = if recipe.centralises() {
                "too many elements to be centralised (2^32)"
            } else if recipe.is_factored() {
                "a rule with factored second moments takes at most 2^32 - 1 elements"
            } else {
                continue;
            };
            return Err(Error::Shape { tensor: tensor.name.clone(), shape: tensor.shape.clone(), problem });
        }
        let table = recipes.iter().any(Recipe::table);
        for recipe in &recipes {
            check_bindings(&limits, recipe, table)?;
        }
        let mut kernels = Kernels::new(device, bounds.workgroup);
        let access_layouts: Vec<_> =
            accesses.iter().map(|access| kernels.layout(&access.bindings(table))).collect();
        let access_layout = |access: Access| {
            let index = accesses.iter().position(|other| *other == access).unwrap_or(0);
            &access_layouts[index]
        };
        let own_layouts: Vec<_> =
            recipes.iter().map(|recipe| kernels.layout(&recipe.own_bindings())).collect();
        let copy_layout = options.half_weights.map(|_| kernels.layout(&[(0, Binding::ReadWrite)]));
        let tally = Tally::default();
        let ring = ControlRing::new(device, &kernels, groups.len(), tally.clone())?;

        let mut pipelines = Vec::new();
        for (recipe, own) in recipes.iter().zip(&own_layouts) {
            let name = recipe.rule.name();
            let (mut step, mut swap_slow, mut swap_average) = (Vec::new(), Vec::new(), Vec::new());
            for &access in accesses {
                let recipe = Recipe { access, ..*recipe };
                let mut layouts = vec![Some(&ring.layout), Some(access_layout(access)), Some(own)];
                layouts.extend(copy_layout.as_ref().map(Some));
                let flags = steady_flags(&recipe);
                step.push((access, kernels.step_pipelines(name, &recipe.step(), &layouts, &flags).await?));
                layouts[0] = None;
                if recipe.lookahead.is_some() && !options.slow_bf16 {
                    swap_slow.push((access, kernels.pipeline(name, &recipe.swap_slow(), &layouts).await?));
                }
                if options.average.is_some() {
                    let source = recipe.swap_average();
                    swap_average.push((access, kernels.pipeline(name, &source, &layouts).await?));
                }
            }
            pipelines.push(Pipelines { step, swap_slow, swap_average });
        }
        let layouts = BindGroupLayouts { controls: &ring.layout, access: &access_layout, own: &own_layouts };
        // The guard's clock is made first: the norm reads the loss scale there.
        let clock = match options.guard {
            Some(guard) => Some(crate::guard::clock(device, guard, groups.len()).await?),
            None => None,
        };
        let reductions =
            Reductions::new(device, &mut kernels, &layout, &recipes, accesses, &layouts, clock.as_ref())
                .await?;
        let guard = match (options.guard, clock, reductions.find(Measure::Norm)) {
            (Some(guard), Some(clock), Some(norm)) => {
                let hypers: Vec<_> = groups.iter().map(|group| group.hypers).collect();
                let results = (&norm.results, reductions.find(Measure::Tried).map(|tried| &tried.results));
                let state = GuardState::new(device, &mut kernels, &ring, guard, clock, &hypers, results);
                Some(state.await?)
            }
            _ => None,
        };

        let has_slow = self.lookahead.is_some();
        let (made, problem) = gpu::scoped(device, || {
            let flat = |label: &str, wanted: bool, half| -> Vec<wgpu::Buffer> {
                let chunks = layout.chunks.iter().filter(|_| wanted);
                chunks.map(|len| buffer(device, label, bytes(*len, half))).collect()
            };
            let own_weights = flat("lookahead weights", !borrowed, None);
            let gradients = flat("lookahead gradients", !borrowed, options.half_gradients);
            let slow = flat("lookahead slow weights", has_slow, options.slow_half());
            let copies = flat("lookahead half weights", options.half_weights.is_some(), options.half_weights);
            let windows: Vec<_> = layout
                .windows
                .iter()
                .map(|window| {
                    let own = &own_layouts[window.group];
                    let slice = |buffers: &[wgpu::Buffer], half| {
                        let (offset, size) = (bytes(window.offset, half), bytes(window.len, half));
                        buffers.get(window.chunk).map(|buffer| Slice::new(buffer, offset, size))
                    };
                    let slow = slice(&slow, options.slow_half());
                    let copy = slice(&copies, options.half_weights);
                    let factors = (!recipes[window.group].measures().is_empty())
                        .then_some(reductions.factors.as_ref())
                        .flatten();
                    let planes = planes_buffer(device, queue, &planes[window.group], window);
                    let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
                    let mut entries = Vec::new();
                    entries.extend(planes.as_ref().map(|buffer| entry(0, buffer.as_entire_binding())));
                    entries.extend(slow.as_ref().map(|slice| entry(1, slice.binding())));
                    entries.extend(factors.map(|buffer| entry(2, buffer.as_entire_binding())));
                    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                        label: Some("lookahead own"),
                        layout: own,
                        entries: &entries,
                    });
                    let copy = copy.as_ref().zip(copy_layout.as_ref()).map(|(slice, layout)| {
                        device.create_bind_group(&wgpu::BindGroupDescriptor {
                            label: Some("lookahead half weights"),
                            layout,
                            entries: &[entry(0, slice.binding())],
                        })
                    });
                    WindowBuffers { planes, bind_group, copy }
                })
                .collect();
            let access_group = |access| access_layout(access).clone();
            let binder = Binder {
                device,
                layout: &layout,
                group: &access_group,
                table,
                reductions: &reductions,
                half_gradients: options.half_gradients,
                alpha_by_group: options.adaptive.is_some_and(|adaptive| adaptive.scope == Scope::Group),
            };
            let runs = match &weights {
                None => Ok(binder.owned_all(&own_weights, &gradients)),
                // Syncs between steps read no gradients: the weights stand in for them.
                Some(weights) => {
                    let binder = Binder { half_gradients: None, ..binder };
                    binder.borrowed_all(weights, weights, bounds.chunk * VALUE)
                }
            };
            (own_weights, gradients, slow, copies, windows, runs)
        });
        if let Some(problem) = problem.await {
            return Err(gpu::error(device, &problem, "the optimizer's buffers"));
        }
        gpu::check_alive_now(device, "building the optimizer").await?;
        let (own_weights, gradients, slow, half_weights, windows, runs) = made;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        drop(recipes);
        Ok(Optimizer {
            device: device.clone(),
            queue: queue.clone(),
            access_layouts: accesses.iter().copied().zip(access_layouts.iter().cloned()).collect(),
            binding_limit: bounds.chunk * VALUE,
            workgroup: bounds.workgroup,
            layout,
            groups,
            planes,
            pipelines,
            ring,
            reductions,
            guard,
            options,
            schedule: self.schedule,
            weights: own_weights,
            borrowed: weights,
            gradients,
            slow,
            half_weights,
            windows,
            own: Arc::new(Gradients::new(id, runs?, vec![], &tally)),
            tally,
            waiter: Waiter::default(),
            id,
            steps: 0,
            gathered: 0,
            average_start: 0,
            swapped: None,
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

/// A zeroed buffer.
fn buffer(device: &wgpu::Device, label: &str, size: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// A window's planes, each at its initial value.
fn planes_buffer(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    planes: &Planes,
    window: &Window,
) -> Option<wgpu::Buffer> {
    let initial = planes.initial();
    let buffer = (!initial.is_empty())
        .then(|| buffer(device, "lookahead planes", bytes(window.len, None) * initial.len() as u64))?;
    for (plane, value) in (0..).zip(initial).filter(|(_, value)| *value != 0.0) {
        let values = vec![value; window.len as usize];
        queue.write_buffer(&buffer, bytes(window.len, None) * plane, bytemuck::cast_slice(&values));
    }
    Some(buffer)
}

/// The flags that almost every dispatch of a group has, each worth a pipeline of its own. A guard decides on the
/// GPU: nothing is known then.
fn steady_flags(recipe: &Recipe<'_>) -> Vec<u32> {
    let options = recipe.options;
    let mut known = Vec::new();
    if options.accumulate.is_some() {
        known.extend([flags::GATHER, flags::GATHER | flags::FRESH]);
    }
    if options.guard.is_some() {
        return known;
    }
    let averages: &[u32] = match options.average {
        None => &[0],
        Some(Average::Swa { .. }) => &[0, flags::AVERAGE],
        Some(_) => &[flags::AVERAGE],
    };
    let gradient_at = options.adaptive.map(|adaptive| adaptive.gradient);
    for average in averages {
        known.push(flags::UPDATE | average);
        match (recipe.lookahead, gradient_at) {
            (None, _) => {}
            (Some(_), None) => known.push(flags::UPDATE | flags::SYNC | average),
            (Some(_), Some(_)) => known.push(flags::SYNC | average),
        }
    }
    if gradient_at == Some(GradientAt::LastStep) && !known.contains(&flags::UPDATE) {
        known.push(flags::UPDATE);
    }
    known
}

fn check_weights(layout: &Layout, weights: &[Slice]) -> Result<(), Error> {
    for (tensor, slice) in layout.tensors.iter().zip(weights) {
        slice.check("weights", tensor, None)?;
    }
    let names = layout.tensors.iter().map(|tensor| format!("weights of `{}`", tensor.name));
    check_disjoint(names.zip(weights).collect())
}
