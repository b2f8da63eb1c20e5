//! From settings to a plan: all that can be wrong is found here.

use std::sync::Arc;

use super::{
    access::{ByAccess, SharedLayouts},
    checks::{check_bindings, check_lengths, check_options, pairs_within},
    factored::is_even,
    group::GroupState,
    guard::{self, GuardPlan},
    placement::slack,
    program::{
        BindGroup, BindGroupLayout, Bound, Buffer, Contents, Id, Known, Owner, Program, Purpose, Usage,
    },
    reductions::Reductions,
    whole::{GroupKernels, Plan, State, StepKernels, WindowParts},
};
use crate::{
    config::{
        alpha::GradientAt,
        average::Average,
        group::{DEFAULT_GROUP, Group},
        lookahead::Lookahead,
        options::Options,
        precision::{Half, bytes},
        schedule::Schedule,
        shape::Shape,
    },
    error::{Error, list},
    kernels::{Access, Binding, Recipe, Tensors, Width},
    layout::{
        limits::{Bounds, Limits},
        params::{SLOT, flags, iterate, tasks},
        planes::iterates,
        tensors::{Layout, Tensor, TensorSpec, Window},
        units::VALUE,
    },
    rules::Rule,
};

/// Slots in a chunk of the control ring, where steps do not need more at once.
const SLOTS: u32 = 256;

/// A tensor as the caller named it.
#[derive(Debug)]
pub(crate) struct TensorSettings {
    pub name: String,
    pub shape: Vec<usize>,
    pub group: String,
}

/// All that an optimizer is built from, besides the device.
#[derive(Debug)]
pub(crate) struct Settings {
    pub rule: Arc<dyn Rule>,
    pub lookahead: Option<Lookahead>,
    pub options: Options,
    pub schedule: Schedule,
    pub groups: Vec<Group>,
    pub tensors: Vec<TensorSettings>,
    /// The weights stay in the caller's buffers.
    pub is_borrowed: bool,
    pub shape: Shape,
}

/// Settings that were checked, and where the tensors lie.
pub(crate) struct Draft {
    pub layout: Layout,
    options: Options,
    schedule: Schedule,
    groups: Vec<GroupState>,
    has_lookahead: bool,
    is_borrowed: bool,
    bounds: Bounds,
    limits: Limits,
}

impl Draft {
    /// Lays the tensors out; `is_mixed`: some are borrowed, and some are not.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with names, shapes, hyperparameters and rules; [`Error::Limit`] where these limits are too
    /// low for any layout.
    pub fn new(settings: Settings, is_mixed: bool, limits: &Limits) -> Result<Self, Error> {
        settings.schedule.check()?;
        settings.shape.check()?;
        let Settings { rule, lookahead, mut options, schedule, groups, tensors, is_borrowed, shape } =
            settings;
        let given = options.clone();
        // One micro-batch a step needs no buffer to accumulate in.
        options.accumulate = options.accumulate.filter(|accumulate| accumulate.micro_batches > 1);
        let (groups, specs) =
            assign_groups(groups, &tensors, |group| GroupState::new(group, &rule, lookahead, &options))?;
        check_options(&given, lookahead.as_ref(), &groups)?;
        if is_mixed {
            return Err(Error::Unsupported {
                call: "build",
                problem: "takes tensors of its own or borrowed ones, not both; use two optimizers",
            });
        }
        let counts: Vec<_> = groups.iter().map(|group| group.planes.count()).collect();
        let bounds = Bounds::new(limits, counts.iter().copied().max().unwrap_or(0), shape)?;
        let slack = if is_borrowed { slack(bounds.chunk) } else { 0 };
        let layout = Layout::new(&specs, &counts, &bounds, slack)?;
        let has_lookahead = lookahead.is_some();
        let limits = *limits;
        Ok(Self { layout, options, schedule, groups, has_lookahead, is_borrowed, bounds, limits })
    }

    fn accesses(&self) -> &'static [Access] {
        match (self.is_borrowed, self.bounds.shape.pairs) {
            (false, _) => &[Access::Owned],
            (true, 1) => &Access::OF_ONE_PAIR,
            (true, _) => &Access::BORROWED,
        }
    }

    /// A swap of borrowed weights binds them alone, in the gradients' place, too: both are near each other.
    fn accesses_of_swaps(&self) -> &'static [Access] {
        match self.is_borrowed {
            false => &[Access::Owned],
            true => &[Access::Pooled(Width::Value), Access::Pooled(Width::Vec4)],
        }
    }

    fn recipes(&self, access: Access) -> Vec<Recipe<'_>> {
        let long_rows = self.layout.tensors.iter().all(has_long_rows);
        let all = self.groups.iter().enumerate().map(|(index, group)| Recipe {
            rule: group.rule.as_ref(),
            lookahead: group.lookahead.as_ref(),
            options: &self.options,
            access,
            shape: self.bounds.shape,
            tensors: Tensors { long_rows, even_moments: self.has_even_moments(index) },
        });
        all.collect()
    }

    /// Whether a rule keeps factored second moments, of tensors that are all even.
    fn has_even_moments(&self, group: usize) -> bool {
        let mut tensors = self.layout.tensors.iter().filter(|tensor| tensor.group == group);
        let factored = self.groups[group].rule.factored(1);
        factored.is_some_and(|factored| tensors.all(|it| is_even(&it.shape, factored.least_dimension)))
    }

    /// Decides the rest.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where a tensor has too many elements for its rule; [`Error::Limit`].
    pub fn plan(mut self) -> Result<Plan, Error> {
        self.bounds.shape.pairs = pairs_within(&self.limits, &self.recipes(self.accesses()[0]));
        let accesses = self.accesses();
        let recipes = self.recipes(accesses[0]);
        check_lengths(&self.layout, &recipes)?;
        let table = recipes.iter().any(Recipe::table);
        for recipe in &recipes {
            check_bindings(&self.limits, recipe, table)?;
        }
        let mut program = Program::new(self.bounds.shape, self.slots()?);
        let shared = SharedLayouts {
            access: ByAccess::new(accesses, |access| {
                program.layout(access.bindings(table, self.bounds.shape.pairs))
            }),
            own: recipes.iter().map(|recipe| program.layout(recipe.own_bindings())).collect(),
            control: program.control,
        };
        let copy = self.options.half_weights.map(|_| program.layout(vec![(0, Binding::ReadWrite)]));
        let kernels = self.kernels(&mut program, &recipes, &shared, copy);
        // The guard's state is there first: the norm reads the loss scale in it.
        let guard_state =
            self.options.guard.map(|guard| guard::guard_state(&mut program, guard, self.groups.len()));
        let reductions =
            Reductions::new(&mut program, &self.limits, &self.layout, &recipes, &shared, guard_state)?;
        let guard = match guard_state {
            Some(state) => {
                let (limits, options) = (&self.limits, &self.options);
                GuardPlan::new(&mut program, limits, options, state, &self.groups, &reductions)?
            }
            None => None,
        };
        let flat = self.flat_buffers(&mut program);
        let own = Own { shared: &shared, copy, recipes: &recipes, factors: reductions.factors };
        let windows = self.windows(&mut program, &flat, &own);
        drop(recipes);
        let state = State::new(self.groups, self.schedule);
        Ok(Plan {
            layout: self.layout,
            options: self.options,
            program,
            kernels,
            access_layouts: shared.access,
            binding_limit: self.bounds.chunk * VALUE,
            table,
            reductions,
            guard,
            weights: flat.weights,
            gradients: flat.gradients,
            slow: flat.slow,
            half_weights: flat.copies,
            windows,
            is_borrowed: self.is_borrowed,
            state,
        })
    }

    /// Slots in a chunk of the control ring: a step whose sync has a dispatch of its own takes two a
    /// group.
    fn slots(&self) -> Result<u32, Error> {
        let (groups, offered) = (self.groups.len(), self.limits.max_buffer_size);
        let needed = (2 * groups * SLOT) as u64;
        if needed > offered {
            let purpose = format!("the settings of {groups} groups");
            return Err(Error::Limit { limit: "max_buffer_size", needed, offered, purpose });
        }
        let most = (offered / SLOT as u64).min(u64::from(u32::MAX)) as u32;
        Ok(SLOTS.max(2 * groups as u32).min(most))
    }

    /// Each group's kernels of steps and swaps; `copy`: the layout of the half-width copy.
    fn kernels(
        &self,
        program: &mut Program,
        recipes: &[Recipe<'_>],
        shared: &SharedLayouts,
        copy: Option<Id<BindGroupLayout>>,
    ) -> Vec<GroupKernels> {
        let mut all = Vec::new();
        for (recipe, own) in recipes.iter().zip(&shared.own) {
            let name = recipe.rule.name();
            let flags = steady_flags(recipe);
            let layouts = |access| {
                let mut layouts = vec![Some(shared.control), shared.access.get(access).copied(), Some(*own)];
                layouts.extend(copy.map(Some));
                layouts
            };
            let step = ByAccess::new(self.accesses(), |access| {
                let (source, layouts) = (Recipe { access, ..*recipe }.step(), layouts(access));
                let mut specialised = |known| program.specialised(name, &source, &layouts, known);
                StepKernels {
                    known: flags.iter().map(|&bits| (bits, specialised(Known::All(bits)))).collect(),
                    guarded: recipe.options.guard.map(|_| specialised(Known::Among(guarded_flags(recipe)))),
                    any: specialised(Known::Nothing),
                }
            });
            let mut swap = |source: &dyn Fn(&Recipe<'_>) -> crate::kernels::Source| {
                ByAccess::new(self.accesses_of_swaps(), |access| {
                    let mut layouts = layouts(access);
                    layouts[0] = None;
                    program.kernel(name, &source(&Recipe { access, ..*recipe }), &layouts)
                })
            };
            let swaps_slow = recipe.lookahead.is_some() && !self.options.slow_bf16;
            let swap_slow = swaps_slow.then(|| swap(&|recipe| recipe.swap_slow()));
            let swap_average = self.options.average.map(|_| swap(&|recipe| recipe.swap_average()));
            all.push(GroupKernels { step, swap_slow, swap_average });
        }
        all
    }

    fn flat_buffers(&self, program: &mut Program) -> Flat {
        let mut flat = |label, purpose, wanted: bool, half| -> Vec<Id<Buffer>> {
            let chunks = self.layout.chunks.iter().filter(|_| wanted);
            let zeros = |len: &u64| Buffer::zeros(label, purpose, bytes(*len, half), Usage::VALUES);
            chunks.map(|len| program.buffers.push(zeros(len))).collect()
        };
        let (owned, options) = (!self.is_borrowed, &self.options);
        Flat {
            weights: flat("lookahead weights", Purpose::Weights, owned, None),
            gradients: flat("lookahead gradients", Purpose::Gradients, owned, options.half_gradients),
            slow: flat(
                "lookahead slow weights",
                Purpose::SlowWeights,
                self.has_lookahead,
                options.slow_half(),
            ),
            copies: flat(
                "lookahead half weights",
                Purpose::HalfWeights,
                options.half_weights.is_some(),
                options.half_weights,
            ),
        }
    }

    fn windows(&self, program: &mut Program, flat: &Flat, own: &Own<'_>) -> Vec<WindowParts> {
        let mut parts = Vec::new();
        for window in &self.layout.windows {
            let bound = |buffers: &[Id<Buffer>], half| window_of(buffers, window, half);
            let slow = bound(&flat.slow, self.options.slow_half());
            let copy = bound(&flat.copies, self.options.half_weights);
            let factors = own.factors.filter(|_| !own.recipes[window.group].measures().is_empty());
            let planes = self.planes(window).map(|planes| program.buffers.push(planes));
            let all = [planes.map(Bound::whole), slow, factors.map(Bound::whole)];
            let entries = (0..).zip(all).filter_map(|(binding, bound)| Some((binding, bound?)));
            let bind_group = program.groups.push(BindGroup {
                label: "lookahead own",
                layout: own.shared.own[window.group],
                entries: entries.collect(),
            });
            let copy = copy.zip(own.copy).map(|(copy, layout)| {
                let label = "lookahead half weights";
                program.groups.push(BindGroup { label, layout, entries: vec![(0, copy)] })
            });
            parts.push(WindowParts { planes, bind_group, copy });
        }
        parts
    }

    /// A window's planes, each at its initial value.
    fn planes(&self, window: &Window) -> Option<Buffer> {
        let initial = self.groups[window.group].planes.initial();
        let size = bytes(window.len, None) * initial.len() as u64;
        (!initial.is_empty()).then_some(Buffer {
            label: "lookahead planes",
            purpose: Purpose::Planes { group: window.group },
            size,
            usage: Usage::VALUES,
            contents: Contents::Planes(initial),
        })
    }
}

/// The buffers of all windows, one a chunk.
struct Flat {
    weights: Vec<Id<Buffer>>,
    gradients: Vec<Id<Buffer>>,
    slow: Vec<Id<Buffer>>,
    copies: Vec<Id<Buffer>>,
}

/// What the windows' bind groups are made from.
struct Own<'a> {
    shared: &'a SharedLayouts,
    /// The layout of the half-width copy.
    copy: Option<Id<BindGroupLayout>>,
    recipes: &'a [Recipe<'a>],
    factors: Option<Id<Buffer>>,
}

/// A window's range of its chunk's buffer, if there is one.
fn window_of(buffers: &[Id<Buffer>], window: &Window, half: Option<Half>) -> Option<Bound> {
    buffers.get(window.chunk).map(|buffer| Bound {
        buffer: Owner::Program(*buffer),
        offset: bytes(window.offset, half),
        size: Some(bytes(window.len, half)),
    })
}

/// The groups at work, and each tensor's.
fn assign_groups(
    given: Vec<Group>,
    tensors: &[TensorSettings],
    state: impl Fn(Group) -> Result<GroupState, Error>,
) -> Result<(Vec<GroupState>, Vec<TensorSpec>), Error> {
    let mut groups = vec![Group::new(DEFAULT_GROUP)];
    for group in given {
        if group.name.is_empty() {
            return Err(Error::EmptyName { what: "group" });
        }
        if groups.iter().any(|other| other.name == group.name) {
            return Err(Error::DuplicateName { what: "group", name: group.name });
        }
        groups.push(group);
    }
    let specs = tensors.iter().map(|tensor| {
        let group = groups.iter().position(|group| group.name == tensor.group);
        let group = group.ok_or_else(|| Error::UnknownName {
            what: "group",
            name: tensor.group.clone(),
            known: list(groups.iter().map(|group| group.name.as_str())),
        })?;
        Ok(TensorSpec { name: tensor.name.clone(), shape: tensor.shape.clone(), group })
    });
    let specs = specs.collect::<Result<Vec<_>, Error>>()?;
    Ok((groups.into_iter().map(state).collect::<Result<_, _>>()?, specs))
}

/// Whether its rows, if it has any, have at least 32 values.
fn has_long_rows(tensor: &Tensor) -> bool {
    tensor.shape.len() < 2 || tensor.shape[1..].iter().product::<usize>() >= 32
}

/// The flags that a guard may choose in a step: all but those of a command.
fn guarded_flags(recipe: &Recipe<'_>) -> u32 {
    let options = recipe.options;
    let all = [
        (true, flags::UPDATE),
        (recipe.lookahead.is_some(), flags::SYNC),
        (recipe.has_tasks(), tasks::TASK),
        (options.average.is_some(), flags::AVERAGE),
        (options.accumulate.is_some(), flags::ACCUMULATED),
        (options.anderson.is_some(), flags::FIXED | iterate::KEEP),
    ];
    all.into_iter().filter(|(is_there, _)| *is_there).map(|(_, flag)| flag).sum()
}

/// The flags that almost every dispatch of a group has, each worth a pipeline of its own. A guard decides on the
/// GPU: nothing is known then.
fn steady_flags(recipe: &Recipe<'_>) -> Vec<u32> {
    let options = recipe.options;
    let mut known = Vec::new();
    if options.accumulate.is_some() {
        known.extend([flags::ACCUMULATE, flags::ACCUMULATE | flags::FRESH]);
    }
    if options.guard.is_some() {
        return known;
    }
    let averages: &[u32] = match options.average {
        None => &[0],
        Some(Average::Swa { .. }) => &[0, flags::AVERAGE],
        Some(_) => &[flags::AVERAGE],
    };
    let gradient_at = options.sync_gradient();
    let updates = |average: u32| keeping(recipe).iter().map(move |keep| flags::UPDATE | keep | average);
    for average in averages {
        known.extend(updates(*average));
        if recipe.has_tasks() {
            known.push(flags::UPDATE | tasks::TASK | average);
        }
        match (recipe.lookahead, gradient_at) {
            (None, _) => {}
            (Some(_), None) => known.push(flags::UPDATE | flags::SYNC | average),
            (Some(_), Some(_)) => known.push(flags::SYNC | average),
        }
    }
    if gradient_at == Some(GradientAt::LastStep) && !averages.contains(&0) {
        known.extend(updates(0));
    }
    known
}

/// What steps do about iterates: keep one, or none, or now this and now that.
fn keeping(recipe: &Recipe<'_>) -> &'static [u32] {
    let kept = iterates(recipe.lookahead, recipe.options.anderson).len();
    match recipe.lookahead.map_or(0, |lookahead| lookahead.k as usize) {
        _ if kept == 0 => &[0],
        k if kept == k => &[iterate::KEEP],
        _ => &[0, iterate::KEEP],
    }
}
