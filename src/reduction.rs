//! Reductions of a step: norms, row means, trust ratios, the adaptive alpha. Each is two passes in a fixed
//! order, whatever the number of tensors: the first sums spans of tensors, the second sums spans to ranges (a
//! row, a tensor, a group or all) and leaves a factor for each.

use std::collections::HashMap;

use crate::{
    access::Run,
    config::{alpha::Scope, clip::Clip, options::Options},
    error::Error,
    gpu,
    kernels::{self, Access, Binding, Measure, Recipe},
    layout::{Layout, Part, Tensor, VALUE},
    moments::{Moments, Plan},
    pipelines::Kernels,
    rules::minimum,
};

/// Values that one workgroup of the first pass sums.
const SPAN: u64 = 16_384;

/// Values that one thread of the first pass to rows sums.
const ROW_SPAN: u64 = 256;

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
    pub factors: Option<wgpu::Buffer>,
    pub regions: Regions,
    pub rows: Vec<Rows>,
    /// The second moments that are the driver's, behind the factors.
    pub moments: Option<Moments>,
    /// None where nothing is reduced.
    partial_layout: Option<wgpu::BindGroupLayout>,
    groups_per_dimension: u32,
    workgroup: u32,
}

/// One reduction's pipelines and buffers.
pub(crate) struct Reduction {
    pub measure: Measure,
    partial: HashMap<(usize, Access), wgpu::ComputePipeline>,
    finish: wgpu::ComputePipeline,
    finish_bind_group: wgpu::BindGroup,
    partials: wgpu::Buffer,
    /// Two values a range: what was found, for whoever wants to read it.
    pub results: wgpu::Buffer,
    pub ranges: u32,
    /// Bytes of the ranges, and of where their factors go.
    table_bytes: u64,
    /// Which partial sum each span has, by tensor and its first value there.
    spans: HashMap<(usize, u64), u32>,
}

/// The first pass over one run.
#[derive(Debug)]
pub(crate) struct Partial {
    pub bind_group: wgpu::BindGroup,
    pub workgroups: (u32, u32),
    /// Of the spans.
    pub bytes: u64,
}

/// One range of the second pass: `Range` of `shaders/finish.wgsl`.
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

/// The spans of a part: its values from the first given one on, and how many.
fn cut(part: &Part, measure: Measure, rows: &[Rows]) -> Vec<(u64, u64)> {
    let end = part.value + part.len;
    let (row, span) = match measure {
        Measure::Rows => (rows[part.tensor].length, ROW_SPAN),
        _ => (u64::MAX, SPAN),
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

impl Reductions {
    /// `recipes`: one for each group. `group`: the bind group layouts of groups 0, 1 (by access) and 2 (by group).
    pub async fn new(
        device: &wgpu::Device,
        kernels: &mut Kernels,
        layout: &Layout,
        recipes: &[Recipe<'_>],
        accesses: &[Access],
        layouts: &BindGroupLayouts<'_>,
        clock: Option<&wgpu::Buffer>,
    ) -> Result<Self, Error> {
        let mut measures: Vec<Measure> = Vec::new();
        for measure in Measure::ALL {
            if recipes.iter().any(|recipe| recipe.measures().contains(&measure)) {
                measures.push(measure);
            }
        }
        let rows = rows(layout, |group| recipes[group].centralises());
        let options = recipes[0].options;
        let ranges: Vec<_> =
            measures.iter().map(|&measure| ranges(layout, measure, recipes, options, &rows)).collect();
        let mut regions = Regions::default();
        for (measure, (ranges, ..)) in measures.iter().zip(&ranges) {
            let start = match measure {
                Measure::Rows => &mut regions.means,
                Measure::Norm => &mut regions.clip,
                Measure::Trust => &mut regions.trust,
                Measure::Scale => &mut regions.scale,
                Measure::Tried => &mut regions.tried,
                Measure::Alpha => &mut regions.alpha,
            };
            *start = regions.total;
            regions.total += ranges.len() as u32;
        }
        let workgroup = kernels.workgroup;
        let groups_per_dimension = device.limits().max_compute_workgroups_per_dimension;
        let mut finish_bindings = vec![
            (0, Binding::Read),
            (1, Binding::Read),
            (2, Binding::ReadWrite),
            (3, Binding::ReadWrite),
            (4, Binding::Uniform),
        ];
        if clock.is_some() {
            finish_bindings.push((5, Binding::Read));
        }
        if measures.is_empty() {
            return Ok(Self {
                list: vec![],
                factors: None,
                regions,
                rows,
                moments: None,
                partial_layout: None,
                groups_per_dimension,
                workgroup,
            });
        }
        let plan = Plan::new(layout, recipes)?;
        let values = u64::from(regions.total) + plan.values();
        let offered = device.limits().max_storage_buffer_binding_size.min(device.limits().max_buffer_size);
        if VALUE * values > offered {
            return Err(Error::Limit {
                limit: "max_storage_buffer_binding_size",
                needed: VALUE * values,
                offered,
                purpose: "the factors of a step and the second moments, which lie in one binding".to_owned(),
            });
        }
        let partial_layout = kernels.layout(&[(0, Binding::Read), (1, Binding::ReadWrite)]);
        let finish_layout = kernels.layout(&finish_bindings);
        let (factors, problem) = gpu::scoped(device, || {
            use wgpu::BufferUsages as Usages;
            (values > 0).then(|| {
                device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("lookahead factors"),
                    size: values * VALUE,
                    usage: Usages::STORAGE | Usages::COPY_SRC | Usages::COPY_DST,
                    mapped_at_creation: false,
                })
            })
        });
        if let Some(problem) = problem.await {
            return Err(gpu::error(device, &problem, "the reductions' factors"));
        }
        let mut list = Vec::new();
        for (&measure, (ranges, spans, total)) in measures.iter().zip(ranges) {
            let mut partial = HashMap::new();
            for (group, recipe) in recipes.iter().enumerate() {
                for &access in accesses.iter().filter(|_| recipe.measures().contains(&measure)) {
                    let recipe = Recipe { access, ..*recipe };
                    let layouts = [
                        Some(layouts.controls),
                        Some((layouts.access)(access)),
                        Some(&layouts.own[group]),
                        Some(&partial_layout),
                    ];
                    let pipeline =
                        kernels.pipeline(recipe.rule.name(), &recipe.partial(measure), &layouts).await?;
                    partial.insert((group, access), pipeline);
                }
            }
            let finish = kernels::finish(measure, clock.is_some());
            let finish = kernels.pipeline("reduction", &finish, &[Some(&finish_layout)]).await?;
            let (made, problem) = gpu::scoped(device, || {
                let buffer = |label, values: u64, usage| {
                    device.create_buffer(&wgpu::BufferDescriptor {
                        label: Some(label),
                        size: values * VALUE,
                        usage: wgpu::BufferUsages::STORAGE | usage,
                        mapped_at_creation: false,
                    })
                };
                let partials = buffer(
                    "lookahead partial sums",
                    measure.sums() * total.max(1),
                    wgpu::BufferUsages::COPY_DST,
                );
                let results =
                    buffer("lookahead results", 2 * ranges.len() as u64, wgpu::BufferUsages::COPY_SRC);
                let words: &[u32] = bytemuck::cast_slice(&ranges);
                let table = gpu::filled(device, "lookahead ranges", words, wgpu::BufferUsages::STORAGE);
                let start = match measure {
                    Measure::Rows => regions.means,
                    Measure::Norm => regions.clip,
                    Measure::Trust => regions.trust,
                    Measure::Scale => regions.scale,
                    Measure::Tried => regions.tried,
                    Measure::Alpha => regions.alpha,
                };
                let place =
                    gpu::filled(device, "lookahead place", &[start, 0, 0, 0], wgpu::BufferUsages::UNIFORM);
                let buffers =
                    [Some(&table), Some(&partials), factors.as_ref(), Some(&results), Some(&place), clock];
                let entries: Vec<_> = buffers
                    .into_iter()
                    .flatten()
                    .zip(0..)
                    .map(|(buffer, binding)| wgpu::BindGroupEntry {
                        binding,
                        resource: buffer.as_entire_binding(),
                    })
                    .collect();
                let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("lookahead reduction"),
                    layout: &finish_layout,
                    entries: &entries,
                });
                (partials, results, bind_group)
            });
            if let Some(problem) = problem.await {
                return Err(gpu::error(device, &problem, "a reduction's buffers"));
            }
            let (partials, results, finish_bind_group) = made;
            let table_bytes = (std::mem::size_of_val(ranges.as_slice()) + 16) as u64;
            let ranges = ranges.len() as u32;
            list.push(Reduction {
                measure,
                partial,
                finish,
                finish_bind_group,
                partials,
                results,
                ranges,
                table_bytes,
                spans,
            });
        }
        let moments = match &factors {
            Some(factors) if plan.entries > 0 => {
                let place = (factors, u64::from(regions.total), regions.alpha);
                Some(Moments::new(device, kernels, plan, layout, recipes, accesses, layouts, place).await?)
            }
            _ => None,
        };
        let partial_layout = Some(partial_layout);
        Ok(Self { list, factors, regions, rows, moments, partial_layout, groups_per_dimension, workgroup })
    }

    /// Bytes of the factors, ranges, partial sums and results, with the second moments behind the factors.
    pub fn bytes(&self) -> u64 {
        let of = |reduction: &Reduction| {
            reduction.partials.size() + reduction.results.size() + reduction.table_bytes
        };
        self.list.iter().map(of).sum::<u64>()
            + self.factors.as_ref().map_or(0, wgpu::Buffer::size)
            + self.moments.as_ref().map_or(0, Moments::bytes)
    }

    /// The reduction of this kind.
    pub fn find(&self, measure: Measure) -> Option<&Reduction> {
        self.list.iter().find(|reduction| reduction.measure == measure)
    }

    /// The first passes over a run of these parts of a group's tensors.
    pub fn partials(&self, device: &wgpu::Device, group: usize, parts: &[Part]) -> Vec<Option<Partial>> {
        let partial = |reduction: &Reduction| {
            let mut spans: Vec<[u32; 3]> = Vec::new();
            for part in parts.iter().filter(|_| reduction.partial.keys().any(|(other, _)| *other == group)) {
                for (value, len) in cut(part, reduction.measure, &self.rows) {
                    let first = (part.at + value - part.value) as u32;
                    let partial = reduction.spans.get(&(part.tensor, value)).copied().unwrap_or(0);
                    spans.push([first, first + len as u32, partial]);
                }
            }
            let layout = self.partial_layout.as_ref().filter(|_| !spans.is_empty())?;
            let usage = wgpu::BufferUsages::STORAGE;
            let buffer = gpu::filled(device, "lookahead spans", bytemuck::cast_slice(&spans), usage);
            let entries = [(0, &buffer), (1, &reduction.partials)].map(|(binding, buffer)| {
                wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() }
            });
            let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("lookahead spans"),
                layout,
                entries: &entries,
            });
            let workgroups = self.grid(reduction.measure, spans.len());
            Some(Partial { bind_group, workgroups, bytes: buffer.size() })
        };
        self.list.iter().map(partial).collect()
    }

    /// Records the first pass of reduction `index` over one run; groups 0 and 2 are the caller's to set.
    pub fn record_partial(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        index: usize,
        group: usize,
        run: &Run,
        set: impl FnOnce(&mut wgpu::ComputePass<'_>),
    ) {
        let pipeline = self.list[index].partial.get(&(group, run.access));
        if let (Some(pipeline), Some(Some(partial))) = (pipeline, run.partials.get(index)) {
            pass.set_pipeline(pipeline);
            set(pass);
            pass.set_bind_group(1, &run.bind_group, &[]);
            pass.set_bind_group(3, &partial.bind_group, &[]);
            pass.dispatch_workgroups(partial.workgroups.0, partial.workgroups.1, 1);
        }
    }

    /// Records the second pass of reduction `index`.
    pub fn record_finish(&self, pass: &mut wgpu::ComputePass<'_>, index: usize) {
        let reduction = &self.list[index];
        let (x, y) = self.grid(reduction.measure, reduction.ranges as usize);
        pass.set_pipeline(&reduction.finish);
        pass.set_bind_group(0, &reduction.finish_bind_group, &[]);
        pass.dispatch_workgroups(x, y, 1);
    }

    /// The workgroups of a pass over so many spans or ranges: each has one, or of rows each thread.
    fn grid(&self, measure: Measure, count: usize) -> (u32, u32) {
        let groups = match measure {
            Measure::Rows => (count as u32).div_ceil(self.workgroup),
            _ => count as u32,
        };
        grid(groups, self.groups_per_dimension)
    }

    /// Forgets the partial sums over all groups, after one left them.
    pub fn clear_norm(&self, encoder: &mut wgpu::CommandEncoder) {
        for reduction in [Measure::Norm, Measure::Tried].into_iter().filter_map(|measure| self.find(measure))
        {
            reduction.clear(encoder);
        }
    }
}

impl Reduction {
    /// Forgets the partial sums, where not all groups bring new ones.
    pub fn clear(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.clear_buffer(&self.partials, 0, None);
    }
}

/// The bind group layouts that a first pass shares with the step.
pub(crate) struct BindGroupLayouts<'a> {
    pub controls: &'a wgpu::BindGroupLayout,
    pub access: &'a (dyn Fn(Access) -> &'a wgpu::BindGroupLayout + Sync),
    pub own: &'a [wgpu::BindGroupLayout],
}

/// A grid of at least `count` workgroups.
pub(crate) fn grid(count: u32, most: u32) -> (u32, u32) {
    let rows = count.div_ceil(most).max(1);
    (count.div_ceil(rows), rows)
}

/// The ranges of a reduction, the number of each span's partial sum, and how many there are.
fn ranges(
    layout: &Layout,
    measure: Measure,
    recipes: &[Recipe<'_>],
    options: &Options,
    rows: &[Rows],
) -> (Vec<Range>, HashMap<(usize, u64), u32>, u64) {
    let alpha_scope = options.adaptive.map_or(Scope::Model, |adaptive| adaptive.scope);
    let alpha_low = options.adaptive.map_or(1.0, |adaptive| adaptive.alpha_low) as f32;
    let norm = [options.clip.norm_bound() as f32, 0.0];
    let tensors = layout.tensors.len();
    let mut ranges = match measure {
        Measure::Rows => {
            let total: u64 = rows
                .iter()
                .zip(&layout.tensors)
                .map(|(rows, tensor)| tensor.len.checked_div(rows.length).unwrap_or(0))
                .sum();
            // A model of vectors alone has none, and a binding must not be empty.
            vec![Range::default(); total.max(1) as usize]
        }
        Measure::Norm if matches!(options.clip, Clip::TensorNorm(_)) => {
            vec![Range { settings: norm, ..Range::default() }; tensors]
        }
        Measure::Norm => vec![Range { settings: norm, ..Range::default() }],
        Measure::Trust => {
            let settings = |tensor: &Tensor| match recipes[tensor.group].rule.trust() {
                Some(trust) => [trust.coefficient as f32, trust.eps as f32],
                None => [0.0; 2],
            };
            layout
                .tensors
                .iter()
                .map(|tensor| Range { settings: settings(tensor), ..Range::default() })
                .collect()
        }
        Measure::Scale => {
            let settings = |tensor: &Tensor| {
                let one = (tensor.len as f64).sqrt().recip();
                recipes[tensor.group].rule.factored(1).map_or([0.0; 2], |factored| {
                    let clip = factored.clipping_threshold.map_or(0.0, |threshold| one / threshold);
                    [clip as f32, if factored.scales_by_weights { one as f32 } else { 0.0 }]
                })
            };
            let range = |tensor| Range { settings: settings(tensor), ..Range::default() };
            layout.tensors.iter().map(range).collect()
        }
        Measure::Tried => vec![Range::default()],
        Measure::Alpha => {
            let count = match alpha_scope {
                Scope::Model => 1,
                Scope::Group => recipes.len(),
                Scope::Tensor => tensors,
            };
            vec![Range { settings: [alpha_low, 0.0], ..Range::default() }; count]
        }
    };
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
        for (value, _) in cut(&part, measure, rows) {
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
                Measure::Alpha => match alpha_scope {
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

/// The f64 twin of both passes of the norm: of `values`, and the factor that clips it.
pub(crate) fn norm(values: impl Iterator<Item = f64>, max_norm: f64) -> (f64, f64) {
    let norm = values.map(|value| value * value).sum::<f64>().sqrt();
    (norm, minimum(max_norm / (norm + 1e-6), 1.0))
}
