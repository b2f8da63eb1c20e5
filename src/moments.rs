//! Second moments that the driver keeps for a rule ([`Factored`]): of a tensor with two dimensions that are large
//! enough its means by row and by column, of any other the whole. They lie side by side behind the factors
//! of the reductions, which the step's kernels read.
//!
//! Three passes in a fixed order, whatever the number of tensors: sums of squared gradients over parts of a
//! dimension, the moments from them, the means of each matrix's rows.

use std::collections::{BTreeMap, HashMap};

use crate::{
    config::{alpha::Scope, options::Options},
    error::Error,
    gpu,
    kernels::{self, Access, Binding, Recipe},
    layout::{Layout, Part, VALUE},
    pipelines::Kernels,
    readback::Field,
    reduction::{BindGroupLayouts, Partial, grid},
    rules::Factored,
};

/// Values that one workgroup of the first pass sums, about.
const SPAN: u64 = 16_384;

/// Neighbours, or times four, that one workgroup takes at once, so that what it reads is side by side.
const NEIGHBOURS: u64 = 32;

/// Entries that one workgroup of the second pass takes.
const ENTRIES: u64 = 4096;

/// Words of a segment's shape in the table, as `shaders/parts/factored.wgsl` has them.
pub(crate) const SHAPE: usize = 10;

/// The means of a tensor's squared gradients over one dimension; over none, the squares themselves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    pub name: &'static str,
    /// The first entry's place among the moments.
    pub at: u64,
    pub entries: u64,
    /// The dimension's size and stride.
    size: u64,
    stride: u64,
}

/// The means of a tensor's rows, one a matrix.
#[derive(Debug, Clone, PartialEq)]
struct Means {
    at: u64,
    matrices: u64,
    /// Rows of a matrix, and from one to the next.
    rows: u64,
    stride: u64,
}

/// One tensor's second moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moment {
    pub axes: Vec<Axis>,
    means: Option<Means>,
    values: u64,
}

/// The two dimensions that are factored, the largest last; as optax, the later one of two that are equal counts
/// as larger.
fn dimensions(shape: &[usize], least: usize) -> Option<(usize, usize)> {
    let mut sorted: Vec<usize> = (0..shape.len()).collect();
    sorted.sort_by_key(|dimension| shape[*dimension]);
    let [.., second, largest] = sorted[..] else { return None };
    (shape[second] >= least).then_some((second, largest))
}

impl Moment {
    /// Of a tensor of this shape; `next` is where the next moment goes, and where the next mean.
    fn new(shape: &[usize], least: usize, next: &mut (u64, u64)) -> Self {
        let values = shape.iter().map(|size| *size as u64).product();
        let mut axis = |name, size, stride| {
            let axis = Axis { name, at: next.0, entries: values / size, size, stride };
            next.0 += axis.entries;
            axis
        };
        let Some((second, largest)) = dimensions(shape, least) else {
            return Self { axes: vec![axis("exp_avg_sq", 1, 1)], means: None, values };
        };
        let stride = |dimension: usize| -> u64 { shape[dimension + 1..].iter().map(|s| *s as u64).product() };
        let (columns, rows) = (shape[largest] as u64, shape[second] as u64);
        let axes = vec![
            axis("exp_avg_sq_row", columns, stride(largest)),
            axis("exp_avg_sq_col", rows, stride(second)),
        ];
        let matrices = values / (columns * rows);
        // The rows lack the largest dimension.
        let stride = if second > largest { stride(second) } else { stride(second) / columns };
        let means = Some(Means { at: next.1, matrices, rows, stride });
        next.1 += matrices;
        Self { axes, means, values }
    }
}

/// Where every tensor's moment is.
pub(crate) struct Plan {
    /// None where the rule keeps its own.
    pub tensors: Vec<Option<Moment>>,
    pub entries: u64,
    means: u64,
    /// Each moment has a slow copy, where the policy is to interpolate.
    pub has_slow: bool,
}

impl Plan {
    /// `recipes`: one for each group.
    pub fn new(layout: &Layout, recipes: &[Recipe<'_>]) -> Result<Self, Error> {
        let mut next = (0, 0);
        let mut tensors = Vec::new();
        for tensor in &layout.tensors {
            let factored = recipes[tensor.group].rule.factored(1);
            let moment = |factored: Factored| Moment::new(&tensor.shape, factored.least_dimension, &mut next);
            tensors.push(factored.map(moment));
        }
        let has_slow = recipes
            .iter()
            .any(|recipe| recipe.lookahead.is_some_and(|lookahead| lookahead.policy.keeps_slow_state()));
        Ok(Self { tensors, entries: next.0, means: next.1, has_slow })
    }

    /// Values of the moments, their slow copies and the means.
    pub fn values(&self) -> u64 {
        self.entries * if self.has_slow { 2 } else { 1 } + self.means
    }
}

/// What is there of each tensor, and the kernels that see to it.
pub(crate) struct Moments {
    pub plan: Plan,
    /// Where the moments start among the factors.
    start: u64,
    sums: HashMap<(usize, Access), wgpu::ComputePipeline>,
    fold: wgpu::ComputePipeline,
    means: wgpu::ComputePipeline,
    sync: Option<wgpu::ComputePipeline>,
    groups: Vec<Option<Tasks>>,
    partials: wgpu::Buffer,
    sheets: Sheets,
    partial_layout: wgpu::BindGroupLayout,
    groups_per_dimension: u32,
    table_bytes: u64,
}

/// One group's second and third pass, and its sync: what they bind, and how many workgroups.
struct Tasks {
    entries: (wgpu::BindGroup, u32),
    matrices: Option<(wgpu::BindGroup, u32)>,
}

/// By tensor, axis, and the part's first value.
type Sheets = BTreeMap<(usize, usize, u64), Sheet>;

/// The partial sums that one part of a tensor gives for one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sheet {
    /// The first entry, and how many.
    first: u64,
    entries: u64,
    /// The part of the dimension, from .. to.
    along: (u64, u64),
    partial: u64,
    /// Sums for each entry.
    count: u64,
    /// Entries that a workgroup takes at once, or how many times four.
    lanes: u64,
    /// Four where a vec4 never holds values of two places of the dimension, else 1.
    width: u64,
}

impl Sheet {
    fn new(axis: &Axis, part: &Part, partial: u64, workgroup: u64) -> Self {
        let (block, end) = (axis.size * axis.stride, part.value + part.len);
        let (first, last) = (part.value / block, (end - 1) / block);
        let mut along = (0, axis.size);
        if first == last {
            along = (part.value % block / axis.stride, (end - 1) % block / axis.stride + 1);
        }
        let width = if axis.stride.is_multiple_of(4) && part.value.is_multiple_of(4) { 4 } else { 1 };
        let lanes = match axis.stride {
            1 => workgroup / axis.size.div_ceil(4).next_power_of_two().min(workgroup),
            stride => (stride / width).min(NEIGHBOURS).next_power_of_two().min(workgroup),
        };
        let mut sheet = Self {
            first: first * axis.stride,
            entries: (last - first + 1) * axis.stride,
            along,
            partial,
            count: 0,
            lanes,
            width,
        };
        sheet.count = (along.1 - along.0).div_ceil(sheet.step());
        sheet
    }

    /// How much of the dimension one sum covers.
    fn step(&self) -> u64 {
        (SPAN / (self.lanes * self.width)).max(1)
    }

    /// `Sheet` of `shaders/moments/entries.wgsl`.
    fn words(&self) -> [u32; 4] {
        [self.first, self.entries, self.partial, self.count].map(|word| word as u32)
    }

    /// The first pass's tasks over a part: `Task` of `shaders/moments/sums.wgsl`.
    fn tasks(&self, axis: &Axis, part: &Part, out: &mut Vec<u32>) {
        let covered = self.step().min(self.along.1 - self.along.0);
        let round = self.lanes * self.width;
        let at_once = round * (SPAN / (round * covered)).max(1);
        for number in 0..self.count {
            let first = self.along.0 + number * self.step();
            let last = (first + self.step()).min(self.along.1);
            for entry in (0..self.entries).step_by(at_once as usize) {
                let words = [
                    part.at.wrapping_sub(part.value),
                    part.value,
                    part.value + part.len,
                    self.first + entry,
                    at_once.min(self.entries - entry),
                    self.lanes,
                    self.width,
                    axis.size * axis.stride,
                    axis.stride,
                    first,
                    last,
                    self.partial + number * self.entries + entry,
                ];
                out.extend(words.map(|word| word as u32));
            }
        }
    }
}

/// Words of a task of the first pass.
const TASK: usize = 12;

impl Moments {
    /// `start`: where they begin in `factors`. `alpha`: where the tensors' alphas are.
    #[allow(clippy::too_many_arguments)]
    pub async fn new(
        device: &wgpu::Device,
        kernels: &mut Kernels,
        plan: Plan,
        layout: &Layout,
        recipes: &[Recipe<'_>],
        accesses: &[Access],
        layouts: &BindGroupLayouts<'_>,
        (factors, start, alpha): (&wgpu::Buffer, u64, u32),
    ) -> Result<Self, Error> {
        let partial_layout = kernels.layout(&[(0, Binding::Read), (1, Binding::ReadWrite)]);
        let tasks_layout = kernels.layout(&[
            (0, Binding::Read),
            (1, Binding::Read),
            (2, Binding::Read),
            (3, Binding::ReadWrite),
        ]);
        let mut sums = HashMap::new();
        for (group, recipe) in recipes.iter().enumerate().filter(|(_, recipe)| recipe.is_factored()) {
            for &access in accesses {
                let recipe = Recipe { access, ..*recipe };
                let layouts = [
                    Some(layouts.controls),
                    Some((layouts.access)(access)),
                    Some(&layouts.own[group]),
                    Some(&partial_layout),
                ];
                let pipeline = kernels.pipeline(recipe.rule.name(), &recipe.sums(), &layouts).await?;
                sums.insert((group, access), pipeline);
            }
        }
        let both = [Some(layouts.controls), Some(&tasks_layout)];
        let [fold, means] = kernels::moments();
        let fold = kernels.pipeline("second moments", &fold, &both).await?;
        let means = kernels.pipeline("second moments", &means, &both).await?;
        let policy = recipes[0].lookahead.map(|lookahead| lookahead.policy);
        let sync = match policy.and_then(kernels::sync_moments) {
            Some(source) => Some(kernels.pipeline("second moments", &source, &both).await?),
            None => None,
        };

        let workgroup = u64::from(kernels.workgroup);
        let (sheets, total) = sheets(layout, &plan, workgroup);
        let limits = device.limits();
        let offered = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        if VALUE * total > offered {
            return Err(Error::Limit {
                limit: "max_storage_buffer_binding_size",
                needed: VALUE * total,
                offered,
                purpose: "the sums of squared gradients".to_owned(),
            });
        }
        let words: Vec<_> = (0..recipes.len())
            .map(|group| words(layout, &plan, &sheets, group, start, alpha, recipes))
            .collect();
        let (made, problem) = gpu::scoped(device, || {
            let partials = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("lookahead sums of squares"),
                size: total.max(1) * VALUE,
                usage: wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            });
            let mut table_bytes = 0;
            let mut bound = |tasks: &[u32], sheets: &[u32], words: usize| {
                let storage = |words: &[u32]| {
                    gpu::filled(device, "lookahead moments", words, wgpu::BufferUsages::STORAGE)
                };
                let (tasks, sheets, count) = (storage(tasks), storage(sheets), tasks.len() / words);
                table_bytes += tasks.size() + sheets.size();
                let buffers = [(0, &tasks), (1, &sheets), (2, &partials), (3, factors)];
                let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("lookahead moments"),
                    layout: &tasks_layout,
                    entries: &buffers.map(|(binding, buffer)| wgpu::BindGroupEntry {
                        binding,
                        resource: buffer.as_entire_binding(),
                    }),
                });
                (bind_group, count as u32)
            };
            let groups: Vec<Option<Tasks>> = words
                .iter()
                .map(|(entries, sheets, matrices)| {
                    (!entries.is_empty()).then(|| Tasks {
                        entries: bound(entries, sheets, 9),
                        matrices: (!matrices.is_empty()).then(|| bound(matrices, &sheets[..4], 4)),
                    })
                })
                .collect();
            (partials, groups, table_bytes)
        });
        if let Some(problem) = problem.await {
            return Err(gpu::error(device, &problem, "the second moments"));
        }
        let (partials, groups, table_bytes) = made;
        let groups_per_dimension = limits.max_compute_workgroups_per_dimension;
        Ok(Self {
            plan,
            start,
            sums,
            fold,
            means,
            sync,
            groups,
            partials,
            sheets,
            partial_layout,
            groups_per_dimension,
            table_bytes,
        })
    }

    /// Bytes of the partial sums and tables.
    pub fn bytes(&self) -> u64 {
        self.partials.size() + self.table_bytes
    }

    /// A tensor's moments and their slow copies: each one's field, where it is among the factors, and how many
    /// values it has.
    pub fn fields(&self, tensor: usize) -> Vec<(Field<'static>, u64, u64)> {
        let axes = || self.plan.tensors[tensor].iter().flat_map(|moment| &moment.axes);
        let state = axes().map(|axis| (Field::State(axis.name), self.start + axis.at, axis.entries));
        let slow_start = self.start + self.plan.entries;
        let slow = axes().map(|axis| (Field::SlowState(axis.name), slow_start + axis.at, axis.entries));
        state.chain(slow.filter(|_| self.plan.has_slow)).collect()
    }

    /// Bytes of all moments, without their slow copies.
    pub fn state_bytes(&self) -> u64 {
        VALUE * self.plan.entries
    }

    /// The shape of a segment of this tensor's, for the table.
    pub fn shape(&self, tensor: usize) -> [u32; SHAPE] {
        let Some(moment) = &self.plan.tensors[tensor] else { return [0; SHAPE] };
        let axis = |index: usize| {
            moment.axes.get(index).map_or([0; 3], |axis: &Axis| {
                [self.start + axis.at, axis.size * axis.stride, axis.stride].map(|word| word as u32)
            })
        };
        let means = moment.means.as_ref().map_or([0; 3], |means| {
            let at = self.means_at() + means.at;
            [at, means.rows * means.stride, means.stride].map(|word| word as u32)
        });
        let mut shape = [moment.values as u32; SHAPE];
        shape[1..4].copy_from_slice(&axis(0));
        shape[4..7].copy_from_slice(&axis(1));
        shape[7..].copy_from_slice(&means);
        shape
    }

    fn means_at(&self) -> u64 {
        means_at(self.start, &self.plan)
    }

    /// The first pass over a run of these parts of a group's tensors.
    pub fn run(&self, device: &wgpu::Device, parts: &[Part]) -> Option<Partial> {
        let mut tasks = Vec::new();
        for part in parts {
            let axes = self.plan.tensors[part.tensor].iter().flat_map(|moment| &moment.axes);
            for (axis, number) in axes.zip(0..) {
                if let Some(sheet) = self.sheets.get(&(part.tensor, number, part.value)) {
                    sheet.tasks(axis, part, &mut tasks);
                }
            }
        }
        if tasks.is_empty() {
            return None;
        }
        let buffer = gpu::filled(device, "lookahead tasks", &tasks, wgpu::BufferUsages::STORAGE);
        let entries = [(0, &buffer), (1, &self.partials)]
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() });
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("lookahead tasks"),
            layout: &self.partial_layout,
            entries: &entries,
        });
        let workgroups = grid((tasks.len() / TASK) as u32, self.groups_per_dimension);
        Some(Partial { bind_group, workgroups, bytes: buffer.size() })
    }

    /// The pipeline of the first pass over a group's run.
    pub fn sums(&self, group: usize, access: Access) -> Option<&wgpu::ComputePipeline> {
        self.sums.get(&(group, access))
    }

    /// Records the second and third pass of a group; `tell` sets group 0.
    pub fn record(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        group: usize,
        tell: impl Fn(&mut wgpu::ComputePass<'_>),
    ) {
        let Some(tasks) = &self.groups[group] else { return };
        self.dispatch(pass, &self.fold, &tasks.entries, &tell);
        if let Some(matrices) = &tasks.matrices {
            self.dispatch(pass, &self.means, matrices, &tell);
        }
    }

    /// Records what a sync does to a group's moments.
    pub fn record_sync(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        group: usize,
        tell: impl Fn(&mut wgpu::ComputePass<'_>),
    ) {
        if let (Some(tasks), Some(sync)) = (&self.groups[group], &self.sync) {
            self.dispatch(pass, sync, &tasks.entries, &tell);
        }
    }

    fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        pipeline: &wgpu::ComputePipeline,
        (bind_group, tasks): &(wgpu::BindGroup, u32),
        tell: &impl Fn(&mut wgpu::ComputePass<'_>),
    ) {
        let (x, y) = grid(*tasks, self.groups_per_dimension);
        pass.set_pipeline(pipeline);
        tell(pass);
        pass.set_bind_group(1, bind_group, &[]);
        pass.dispatch_workgroups(x, y, 1);
    }
}

fn means_at(start: u64, plan: &Plan) -> u64 {
    start + plan.values() - plan.means
}

/// The sheets of every part, and how many partial sums they have.
fn sheets(layout: &Layout, plan: &Plan, workgroup: u64) -> (Sheets, u64) {
    let (mut sheets, mut total) = (Sheets::new(), 0);
    for part in layout.windows.iter().flat_map(|window| layout.pieces_in(window)) {
        let axes = plan.tensors[part.tensor].iter().flat_map(|moment| &moment.axes);
        for (axis, number) in axes.zip(0..) {
            let sheet = Sheet::new(axis, &part, total, workgroup);
            total += sheet.entries * sheet.count;
            sheets.insert((part.tensor, number, part.value), sheet);
        }
    }
    (sheets, total)
}

/// A group's tasks of the second pass, their sheets, and its tasks of the third.
fn words(
    layout: &Layout,
    plan: &Plan,
    sheets: &Sheets,
    group: usize,
    start: u64,
    alpha: u32,
    recipes: &[Recipe<'_>],
) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
    let (mut entries, mut all_sheets, mut matrices) = (vec![], vec![], vec![]);
    let eps = recipes[group].rule.factored(1).map_or(0.0, |factored| factored.eps) as f32;
    for (index, tensor) in layout.tensors.iter().enumerate() {
        let Some(moment) = plan.tensors[index].as_ref().filter(|_| tensor.group == group) else { continue };
        let alpha = alpha_of(recipes[group].options, alpha, group, index);
        for (number, axis) in moment.axes.iter().enumerate() {
            let of_axis = sheets.range((index, number, 0)..(index, number + 1, 0));
            let first_sheet = all_sheets.len() / 4;
            all_sheets.extend(of_axis.flat_map(|(_, sheet)| sheet.words()));
            let last_sheet = all_sheets.len() / 4;
            for entry in (0..axis.entries).step_by(ENTRIES as usize) {
                let at = start + axis.at + entry;
                let count = ENTRIES.min(axis.entries - entry);
                let words = [at, at + plan.entries, count, entry, first_sheet as u64, last_sheet as u64];
                entries.extend(words.map(|word| word as u32));
                entries.extend([alpha, ((axis.size as f64).recip() as f32).to_bits(), eps.to_bits()]);
            }
        }
        let Some(means) = &moment.means else { continue };
        let rows = start + moment.axes[0].at;
        for matrix in 0..means.matrices {
            let row = matrix / means.stride * means.rows * means.stride + matrix % means.stride;
            let at = means_at(start, plan) + means.at + matrix;
            matrices.extend([rows + row, means.rows, means.stride, at].map(|word| word as u32));
        }
    }
    (entries, all_sheets, matrices)
}

/// Where a tensor's alpha is found, where it is not fixed.
fn alpha_of(options: &Options, start: u32, group: usize, tensor: usize) -> u32 {
    match options.adaptive.map(|adaptive| adaptive.scope) {
        None => u32::MAX,
        Some(Scope::Model) => start,
        Some(Scope::Group) => start + group as u32,
        Some(Scope::Tensor) => start + tensor as u32,
    }
}

/// The f64 twin of all passes, one tensor at a time.
pub(crate) mod twin {
    use super::{Factored, dimensions};
    use crate::rules::maximum;

    /// A tensor's moment at the start: rows and columns, or the whole.
    pub fn initial(shape: &[usize], factored: &Factored) -> Vec<Vec<f64>> {
        let values: usize = shape.iter().product();
        match dimensions(shape, factored.least_dimension) {
            None => vec![vec![0.0; values]],
            Some((second, largest)) => {
                vec![vec![0.0; values / shape[largest]], vec![0.0; values / shape[second]]]
            }
        }
    }

    /// Moves the moment on, and gives what the rule is given.
    pub fn normalised(
        factored: &Factored,
        shape: &[usize],
        gradient: &[f64],
        weights: &[f64],
        moment: &mut [Vec<f64>],
    ) -> Vec<f64> {
        let squares: Vec<f64> = gradient.iter().map(|g| g * g + factored.eps).collect();
        let move_on = |moment: &mut Vec<f64>, squares: Vec<f64>| {
            for (v, square) in moment.iter_mut().zip(squares) {
                *v = factored.decay * *v + (1.0 - factored.decay) * square;
            }
        };
        let mut u: Vec<f64> = match dimensions(shape, factored.least_dimension) {
            None => {
                move_on(&mut moment[0], squares);
                gradient.iter().zip(&moment[0]).map(|(g, v)| g / v.sqrt()).collect()
            }
            Some((second, largest)) => {
                move_on(&mut moment[0], mean(&squares, shape, largest));
                move_on(&mut moment[1], mean(&squares, shape, second));
                let mut rest = shape.to_vec();
                rest.remove(largest);
                let reduced = if second > largest { second - 1 } else { second };
                let means = mean(&moment[0], &rest, reduced);
                let at = |(value, g): (usize, &f64)| {
                    let row = without(value, shape, largest);
                    let estimate = moment[0][row] / means[without(row, &rest, reduced)];
                    g / (estimate * moment[1][without(value, shape, second)]).sqrt()
                };
                gradient.iter().enumerate().map(at).collect()
            }
        };
        let rms = |values: &[f64]| {
            (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt()
        };
        let clipped = factored.clipping_threshold.map_or(1.0, |threshold| maximum(rms(&u) / threshold, 1.0));
        let scale = if factored.scales_by_weights { maximum(rms(weights), 1e-3) } else { 1.0 };
        u.iter_mut().for_each(|u| *u *= scale / clipped);
        u
    }

    /// The means over one dimension.
    fn mean(values: &[f64], shape: &[usize], dimension: usize) -> Vec<f64> {
        let mut means = vec![0.0; values.len() / shape[dimension]];
        for (index, value) in values.iter().enumerate() {
            means[without(index, shape, dimension)] += value / shape[dimension] as f64;
        }
        means
    }

    /// A value's place without one dimension, from its index in each.
    fn without(value: usize, shape: &[usize], dimension: usize) -> usize {
        let mut rest = value;
        let mut indices: Vec<usize> = shape
            .iter()
            .rev()
            .map(|size| {
                let index = rest % size;
                rest /= size;
                index
            })
            .collect();
        indices.reverse();
        let kept = indices.iter().zip(shape).enumerate().filter(|(other, _)| *other != dimension);
        kept.fold(0, |place, (_, (index, size))| place * size + index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_largest_dimensions_are_factored() {
        assert_eq!(dimensions(&[3, 4], 2), Some((0, 1)));
        assert_eq!(dimensions(&[4, 3], 2), Some((1, 0)));
        assert_eq!(dimensions(&[4, 4], 2), Some((0, 1)));
        assert_eq!(dimensions(&[64, 32, 3, 3], 2), Some((1, 0)));
        assert_eq!(dimensions(&[4, 3], 4), None);
        assert_eq!(dimensions(&[100], 2), None);
        assert_eq!(dimensions(&[], 1), None);
    }

    #[test]
    fn moments_lie_side_by_side() {
        let mut next = (0, 0);
        let moment = Moment::new(&[5, 2, 7], 2, &mut next);
        let places: Vec<_> = moment.axes.iter().map(|axis| (axis.name, axis.at, axis.entries)).collect();
        assert_eq!(places, [("exp_avg_sq_row", 0, 10), ("exp_avg_sq_col", 10, 14)]);
        assert_eq!(moment.means, Some(Means { at: 0, matrices: 2, rows: 5, stride: 2 }));
        let moment = Moment::new(&[6], 2, &mut next);
        assert_eq!((moment.axes[0].at, moment.axes[0].entries, next), (24, 6, (30, 2)));
    }
}
