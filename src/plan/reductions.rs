//! Reductions of a step: norms, row means, trust ratios, the adaptive alpha. Each is two passes in a fixed
//! order, whatever the number of tensors: the first sums spans of tensors, the second sums spans to ranges (a
//! row, a tensor, a group or all) and leaves a factor for each.

use std::collections::HashMap;

use super::{
    access::{ByAccess, SharedLayouts},
    factored::{FactoredMoments, Factoring},
    pass::{Partial, grid},
    program::{BindGroup, BindGroupLayout, Buffer, Id, Kernel, Program, Purpose, Usage},
    recording::{Bind, Dispatch},
};
use crate::{
    config::{alpha::Scope, shape::Shape, transform::Reduced},
    error::Error,
    kernels::{self, Binding, Measure, Recipe},
    layout::{
        limits::Limits,
        tensors::{Layout, Part, Tensor},
        units::VALUE,
    },
};

/// Where each kind's factors start in the one buffer of them all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Regions {
    pub clip: u32,
    pub trust: u32,
    pub scale: u32,
    pub tried: u32,
    pub alpha: u32,
    pub means: u32,
    pub total: u32,
}

/// Rows of a tensor: dimension 0 of one that has more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Values in a row; 0 where the gradient is not centralised.
    pub length: u64,
    /// The first row's number, among the rows of all tensors.
    pub first: u32,
}

/// What all reductions of an optimizer share.
pub(crate) struct Reductions {
    pub list: Vec<Reduction>,
    /// Those of the gradient itself, in the order in which its transformations need them.
    pub of_gradient: [Measure; 2],
    pub factors: Option<Id<Buffer>>,
    pub regions: Regions,
    pub rows: Vec<Rows>,
    /// The second moments that are the driver's, behind the factors.
    pub moments: Option<FactoredMoments>,
    /// None where nothing is reduced.
    partial_layout: Option<Id<BindGroupLayout>>,
    groups_per_dimension: u32,
    shape: Shape,
}

/// One reduction's kernels and buffers.
pub(crate) struct Reduction {
    pub measure: Measure,
    /// Of each group that is measured so.
    partial: Vec<Option<ByAccess<Id<Kernel>>>>,
    /// None where the guard's kernel does the second pass.
    finish: Option<Id<Kernel>>,
    finish_layout: Id<BindGroupLayout>,
    finish_bind_group: Id<BindGroup>,
    pub partials: Id<Buffer>,
    /// Two values a range: what was found, for whoever wants to read it.
    pub results: Id<Buffer>,
    pub ranges: u32,
    /// Which partial sum each span has, by tensor and its first value there.
    spans: HashMap<(usize, u64), u32>,
}

/// One range of the second pass: `La_Range` of `shaders/parts/conclude.wgsl`.
#[derive(Debug, Clone, Copy, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Range {
    first: u32,
    count: u32,
    settings: [f32; 2],
}

/// The rows of every tensor whose gradients are centralised. A row of one value has no mean of its own to lose.
pub(crate) fn rows(layout: &Layout, centralises: impl Fn(usize) -> bool) -> Vec<Rows> {
    let mut first = 0;
    let row = |tensor: &Tensor| {
        let length = tensor.shape.iter().skip(1).map(|size| *size as u64).product::<u64>();
        if tensor.shape.len() < 2 || length < 2 || !centralises(tensor.group) {
            return Rows::default();
        }
        let rows = Rows { length, first };
        first += tensor.shape[0] as u32;
        rows
    };
    layout.tensors.iter().map(row).collect()
}

/// Values in a row, on average.
fn mean_length(layout: &Layout, rows: &[Rows]) -> u64 {
    let centralised = layout.tensors.iter().zip(rows).filter(|(_, rows)| rows.length > 0);
    let (values, count) = centralised.fold((0, 0), |(values, count), (tensor, rows)| {
        (values + tensor.len, count + tensor.len / rows.length)
    });
    values.checked_div(count).unwrap_or(0)
}

/// Means of rows come first, unless they are of what a norm was needed for.
fn of_gradient(recipes: &[Recipe<'_>]) -> [Measure; 2] {
    if recipes.iter().any(Recipe::means_follow_norm) {
        [Measure::Norm, Measure::Rows]
    } else {
        [Measure::Rows, Measure::Norm]
    }
}

/// The spans of a part: its values from the first given one on, and how many.
fn cut(part: &Part, measure: Measure, rows: &[Rows], shape: Shape) -> Vec<(u64, u64)> {
    let (end, span) = (part.value + part.len, measure.span(shape));
    let row = match measure {
        Measure::Rows => rows[part.tensor].length,
        _ => u64::MAX,
    };
    let mut spans = Vec::new();
    let mut value = part.value;
    while value < end && row > 0 {
        let row_end = if row == u64::MAX { end } else { (value / row + 1) * row };
        let len = span.min(end - value).min(row_end - value);
        spans.push((value, len));
        value += len;
    }
    spans
}

impl Regions {
    /// Where the factors of a kind start.
    fn of(&mut self, measure: Measure) -> &mut u32 {
        match measure {
            Measure::Rows => &mut self.means,
            Measure::Norm => &mut self.clip,
            Measure::Trust => &mut self.trust,
            Measure::Scale => &mut self.scale,
            Measure::Tried => &mut self.tried,
            // No optimizer has both.
            Measure::Alpha | Measure::Residuals => &mut self.alpha,
        }
    }
}

impl Reductions {
    /// Adds them to a program. `recipes`: one for each group. `guard_state`: the guard's, with the loss scale.
    pub fn new(
        program: &mut Program,
        limits: &Limits,
        layout: &Layout,
        recipes: &[Recipe<'_>],
        shared: &SharedLayouts,
        guard_state: Option<Id<Buffer>>,
    ) -> Result<Self, Error> {
        let is_taken = |measure: &Measure| recipes.iter().any(|recipe| recipe.measures().contains(measure));
        let measures: Vec<Measure> = Measure::ALL.into_iter().filter(is_taken).collect();
        let rows = rows(layout, |group| recipes[group].centralises());
        let shape = program.shape.rows_of(mean_length(layout, &rows));
        let recipes: Vec<_> = recipes.iter().map(|recipe| Recipe { shape, ..*recipe }).collect();
        let recipes = recipes.as_slice();
        let mut reductions = Self {
            list: vec![],
            of_gradient: of_gradient(recipes),
            factors: None,
            regions: Regions::default(),
            rows,
            moments: None,
            partial_layout: None,
            groups_per_dimension: limits.max_compute_workgroups_per_dimension,
            shape,
        };
        if measures.is_empty() {
            return Ok(reductions);
        }
        let all: Vec<_> =
            measures.iter().map(|&measure| ranges(layout, measure, recipes, &reductions.rows)).collect();
        let columns = recipes[0].options.columns();
        for (&measure, (ranges, ..)) in measures.iter().zip(&all) {
            *reductions.regions.of(measure) = reductions.regions.total;
            reductions.regions.total += ranges.len() as u32 * measure.factors(columns);
        }
        let factoring = Factoring::new(layout, recipes);
        let factors = reductions.add_factors(program, limits, factoring.values())?;
        let partial_layout = program.layout(vec![(0, Binding::Read), (1, Binding::ReadWrite)]);
        reductions.partial_layout = Some(partial_layout);
        let guard_state =
            guard_state.filter(|_| recipes.iter().all(|recipe| recipe.options.norm_is_scaled()));
        let finish = Finish { factors, guard_state, columns };
        let of_guard = decided_at_once(limits, recipes);
        for (measure, found) in measures.into_iter().zip(all) {
            let place = *reductions.regions.of(measure);
            let partial = shared.kernels(program, recipes, Some(partial_layout), |recipe| {
                recipe.measures().contains(&measure).then(|| recipe.partial(measure))
            });
            let is_guards = of_guard.contains(&measure);
            let sums = VALUE * measure.sums(finish.columns) * found.2.max(1);
            limits.check_binding(sums, || "the partial sums of a reduction".to_owned())?;
            reductions.list.push(finish.reduction(program, measure, found, (place, is_guards), partial));
        }
        if factoring.entries > 0 {
            let place = (factors, u64::from(reductions.regions.total), reductions.regions.alpha);
            reductions.moments =
                Some(FactoredMoments::new(program, limits, factoring, layout, recipes, shared, place)?);
        }
        Ok(reductions)
    }

    /// The factors, and behind them so many values of second moments.
    fn add_factors(
        &mut self,
        program: &mut Program,
        limits: &Limits,
        moments: u64,
    ) -> Result<Id<Buffer>, Error> {
        let size = VALUE * (u64::from(self.regions.total) + moments);
        limits.check_binding(size, || {
            "the factors of a step and the second moments, which lie in one binding".to_owned()
        })?;
        let factors = Buffer::zeros("lookahead factors", Purpose::Factors, size, Usage::VALUES);
        let factors = program.buffers.push(factors);
        self.factors = Some(factors);
        Ok(factors)
    }

    /// The reduction of this kind.
    pub fn find(&self, measure: Measure) -> Option<&Reduction> {
        self.list.iter().find(|reduction| reduction.measure == measure)
    }

    /// The first passes over a run of these parts of a group's tensors, added to a placement's tables.
    pub fn partials(
        &self,
        group: usize,
        parts: &[Part],
        mut add: impl FnMut(Buffer, Id<Buffer>, Id<BindGroupLayout>) -> Id<BindGroup>,
    ) -> Vec<Option<Partial>> {
        let partial = |reduction: &Reduction| {
            reduction.partial[group].as_ref()?;
            let mut spans: Vec<[u32; 3]> = Vec::new();
            for part in parts {
                for (value, len) in cut(part, reduction.measure, &self.rows, self.shape) {
                    let first = (part.at + value - part.value) as u32;
                    let partial = reduction.spans.get(&(part.tensor, value));
                    spans.extend(partial.map(|partial| [first, first + len as u32, *partial]));
                }
            }
            let layout = self.partial_layout.filter(|_| !spans.is_empty())?;
            let workgroups = self.grid(reduction.measure.lanes(self.shape), spans.len());
            let words = spans.into_iter().flatten().collect();
            let buffer = Buffer::words("lookahead spans", words, Usage::STORAGE);
            Some(Partial { bind_group: add(buffer, reduction.partials, layout), workgroups })
        };
        self.list.iter().map(partial).collect()
    }

    /// The first pass of reduction `index` over a run of this group, bound so.
    pub fn partial(
        &self,
        index: usize,
        group: usize,
        access: kernels::Access,
        partial: &Partial,
        binds: [Bind; 3],
    ) -> Option<Dispatch> {
        let kernel = *self.list[index].partial[group].as_ref()?.get(access)?;
        let [control, access, own] = binds;
        let binds = [control, access, own, Bind::Placement(partial.bind_group)];
        Some(Dispatch { kernel, binds, workgroups: partial.workgroups })
    }

    /// The second pass of reduction `index`, unless the guard's kernel does it.
    pub fn finish(&self, index: usize) -> Option<Dispatch> {
        let reduction = &self.list[index];
        let workgroups = self.grid(reduction.measure.finishing_lanes(self.shape), reduction.ranges as usize);
        let group = Bind::Program(reduction.finish_bind_group);
        let binds = [group, Bind::Unused, Bind::Unused, Bind::Unused];
        reduction.finish.map(|kernel| Dispatch { kernel, binds, workgroups })
    }

    /// How they are cut.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The workgroups of a pass over so many spans or ranges, for each of which there are so many threads.
    fn grid(&self, lanes: u32, count: usize) -> (u32, u32) {
        grid((count as u32).div_ceil(self.shape.workgroup / lanes), self.groups_per_dimension)
    }
}

fn finish_bindings(has_clock: bool) -> Vec<(u32, Binding)> {
    let mut bindings = vec![
        (0, Binding::Read),
        (1, Binding::Read),
        (2, Binding::ReadWrite),
        (3, Binding::ReadWrite),
        (4, Binding::Uniform),
    ];
    bindings.extend(has_clock.then_some((5, Binding::Read)));
    bindings
}

impl Reduction {
    /// What the guard's kernel binds where it does the second pass.
    pub fn conclusion(&self) -> Option<(Id<BindGroupLayout>, Id<BindGroup>)> {
        self.finish.is_none().then_some((self.finish_layout, self.finish_bind_group))
    }
}

/// The reductions whose second pass is done by the guard's kernel, which comes right after.
fn decided_at_once(limits: &Limits, recipes: &[Recipe<'_>]) -> Vec<Measure> {
    let [recipe] = recipes else { return vec![] };
    let tries = recipe.options.tries_updates();
    // The guard's own, and the ranges, partial sums, factors and results; of an update that is tried, the norms, too.
    let storage_buffers = if tries { 8 } else { 7 };
    if !recipe.decides_at_once() || limits.max_storage_buffers_per_shader_stage < storage_buffers {
        return vec![];
    }
    [Some(Measure::Norm), tries.then_some(Measure::Tried)].into_iter().flatten().collect()
}

/// What all second passes share.
struct Finish {
    factors: Id<Buffer>,
    guard_state: Option<Id<Buffer>>,
    /// Of Anderson acceleration.
    columns: u32,
}

impl Finish {
    /// Adds a reduction's buffers and second pass. `place`: where its factors start, and whether the pass is done by the
    /// guard's kernel, which binds its state already.
    fn reduction(
        &self,
        program: &mut Program,
        measure: Measure,
        (ranges, spans, total): Ranges,
        (place, is_guards): (u32, bool),
        partial: Vec<Option<ByAccess<Id<Kernel>>>>,
    ) -> Reduction {
        let scaled = self.guard_state.is_some();
        let guard_state = self.guard_state.filter(|_| !is_guards);
        let finish_layout = program.layout(finish_bindings(guard_state.is_some()));
        let finish = (!is_guards).then(|| {
            let source = match measure {
                Measure::Residuals => kernels::solve(self.columns, program.shape),
                _ => kernels::finish(measure, scaled, program.shape),
            };
            program.kernel("reduction", &source, &[Some(finish_layout)])
        });
        let mut zeros = |label, values: u64, usage| {
            program.buffers.push(Buffer::zeros(label, Purpose::Controls, values * VALUE, usage))
        };
        let partials =
            zeros("lookahead partial sums", measure.sums(self.columns) * total.max(1), Usage::WRITTEN);
        let values = u64::from(measure.results(self.columns)) * ranges.len() as u64;
        let results = zeros("lookahead results", values, Usage::RESULT);
        let words = bytemuck::cast_slice(&ranges).to_vec();
        let table = program.buffers.push(Buffer::words("lookahead ranges", words, Usage::STORAGE));
        let place = Buffer::words("lookahead place", vec![place, 0, 0, 0], Usage::UNIFORM);
        let place = program.buffers.push(place);
        let buffers = [table, partials, self.factors, results, place].into_iter().chain(guard_state);
        let group = BindGroup::whole("lookahead reduction", finish_layout, buffers);
        let finish_bind_group = program.groups.push(group);
        let ranges = ranges.len() as u32;
        Reduction {
            measure,
            partial,
            finish,
            finish_layout,
            finish_bind_group,
            partials,
            results,
            ranges,
            spans,
        }
    }
}

/// The ranges of a reduction, the number of each span's partial sum, and how many there are.
type Ranges = (Vec<Range>, HashMap<(usize, u64), u32>, u64);
fn ranges(layout: &Layout, measure: Measure, recipes: &[Recipe<'_>], rows: &[Rows]) -> Ranges {
    let scope = recipes[0].options.scope();
    let mut ranges = initial_ranges(layout, measure, recipes, rows);
    // Each tensor's spans side by side, in the order of its values, and each group's tensors.
    let mut parts: Vec<_> = layout.windows.iter().flat_map(|window| layout.pieces_in(window)).collect();
    parts.sort_by_key(|part| (layout.tensors[part.tensor].group, part.tensor, part.value));
    let mut spans = HashMap::new();
    let mut total = 0;
    for part in parts {
        let group = layout.tensors[part.tensor].group;
        if !recipes[group].measures().contains(&measure) {
            continue;
        }
        for (value, _) in cut(&part, measure, rows, recipes[0].shape) {
            let row = rows[part.tensor];
            let range = match measure {
                Measure::Rows => {
                    let index = row.first as usize + (value / row.length) as usize;
                    ranges[index].settings[0] = (row.length as f64).recip() as f32;
                    index
                }
                Measure::Norm if ranges.len() == 1 => 0,
                Measure::Tried => 0,
                Measure::Norm | Measure::Trust | Measure::Scale => part.tensor,
                Measure::Alpha | Measure::Residuals => match scope {
                    Scope::Model => 0,
                    Scope::Group => group,
                    Scope::Tensor => part.tensor,
                },
            };
            if ranges[range].count == 0 {
                ranges[range].first = total;
            }
            ranges[range].count += 1;
            spans.insert((part.tensor, value), total);
            total += 1;
        }
    }
    (ranges, spans, u64::from(total))
}

/// The ranges of a reduction with their settings, before any span is in one.
fn initial_ranges(layout: &Layout, measure: Measure, recipes: &[Recipe<'_>], rows: &[Rows]) -> Vec<Range> {
    let (options, tensors) = (recipes[0].options, layout.tensors.as_slice());
    let range = |settings| Range { settings, ..Range::default() };
    let by_tensor = |settings: &dyn Fn(&Tensor) -> [f32; 2]| {
        tensors.iter().map(|tensor| range(settings(tensor))).collect()
    };
    match measure {
        Measure::Rows => {
            let count = |(rows, tensor): (&Rows, &Tensor)| tensor.len.checked_div(rows.length).unwrap_or(0);
            let total: u64 = rows.iter().zip(tensors).map(count).sum();
            // A model of vectors alone has none, and a binding must not be empty.
            vec![Range::default(); total.max(1) as usize]
        }
        Measure::Norm => {
            let norm = options.norm();
            let bound = norm.and_then(Reduced::bound).unwrap_or(0.0);
            let by_tensor = matches!(norm, Some(Reduced::TensorNorm(_)));
            vec![range([bound as f32, 0.0]); if by_tensor { tensors.len() } else { 1 }]
        }
        Measure::Trust => by_tensor(&|tensor| match recipes[tensor.group].rule.trust() {
            Some(trust) => [trust.coefficient as f32, trust.eps as f32],
            None => [0.0; 2],
        }),
        Measure::Scale => by_tensor(&|tensor| {
            let one = (tensor.len as f64).sqrt().recip();
            recipes[tensor.group].rule.factored(1).map_or([0.0; 2], |factored| {
                let clip = factored.clipping_threshold.map_or(0.0, |threshold| one / threshold);
                [clip as f32, if factored.scales_by_weights { one as f32 } else { 0.0 }]
            })
        }),
        Measure::Tried => vec![Range::default()],
        Measure::Alpha | Measure::Residuals => {
            let count = match options.scope() {
                Scope::Model => 1,
                Scope::Group => recipes.len(),
                Scope::Tensor => tensors.len(),
            };
            let settings = match options.anderson.filter(|_| measure == Measure::Residuals) {
                Some(anderson) => double(anderson.regularisation),
                None => [options.adaptive.map_or(1.0, |adaptive| adaptive.alpha_low) as f32, 0.0],
            };
            vec![range(settings); count]
        }
    }
}

/// A value as the double-float of `shaders/parts/double.wgsl`.
fn double(value: f64) -> [f32; 2] {
    let high = value as f32;
    [high, (value - f64::from(high)) as f32]
}
