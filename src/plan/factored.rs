//! Second moments that the driver keeps for a rule ([`Factored`]): of a tensor with two dimensions that are large
//! enough its means by row and by column, of any other the whole. They lie side by side behind the factors
//! of the reductions, which the step's kernels read.
//!
//! Four passes in a fixed order, whatever the number of tensors: sums of squared gradients over parts of a
//! dimension, the moments from them, the means of each matrix's rows, and the roots by which gradients are divided.

use std::collections::BTreeMap;

use super::{
    access::{ByAccess, SharedLayouts},
    pass::{Partial, grid},
    program::{BindGroup, BindGroupLayout, Buffer, Id, Kernel, Program, Purpose, Usage},
    recording::{Bind, Dispatch},
};
use crate::{
    config::{alpha::Scope, options::Options, shape::Shape},
    error::Error,
    kernels::{self, Access, Binding, Recipe},
    layout::{
        field::Field,
        limits::Limits,
        tensors::{Layout, Part},
        units::VALUE,
    },
    rules::Factored,
};

/// Values that one workgroup of the first pass sums, about.
const SPAN: u64 = 16_384;

/// Neighbours, or times four, that one workgroup takes at once, so that what it reads is side by side.
const NEIGHBOURS: u64 = 32;

/// Partial sums that one workgroup of the second pass adds up, about, if it has so many.
const FOLDED: u64 = 4096;

/// Entries that it takes at most.
const MOST_ENTRIES: u64 = 1024;

/// Threads of the second pass that add up an entry together, at most, where threads work together.
const SHARES: u64 = 8;

/// Words of a segment's shape in the table, as `shaders/parts/factored.wgsl` has them.
pub(crate) const SHAPE: usize = 7;

/// The means of a tensor's squared gradients over one dimension; over none, the squares themselves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    pub name: &'static str,
    /// The first entry's place among the moments.
    pub at: u64,
    /// And its root's among the roots, where the moment is factored.
    root: Option<u64>,
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
pub(crate) fn dimensions(shape: &[usize], least: usize) -> Option<(usize, usize)> {
    let mut sorted: Vec<usize> = (0..shape.len()).collect();
    sorted.sort_by_key(|dimension| shape[*dimension]);
    let [.., second, largest] = sorted[..] else { return None };
    (shape[second] >= least).then_some((second, largest))
}

/// Whether each four values that belong together have one entry of the axis whose stride is 1, and of the other one four
/// side by side. What is not factored has four side by side, too.
pub(super) fn is_even(shape: &[usize], least: usize) -> bool {
    let moment = Moment::new(shape, least, &mut Next::default());
    let [row, column] = &moment.axes[..] else { return true };
    let (one, other) = if row.stride == 1 { (row, column) } else { (column, row) };
    one.stride == 1 && one.size.is_multiple_of(4) && other.stride.is_multiple_of(4)
}

/// Where the next moment goes, its root, and the next mean.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Next {
    moment: u64,
    root: u64,
    mean: u64,
}

impl Moment {
    /// Of a tensor of this shape.
    fn new(shape: &[usize], least: usize, next: &mut Next) -> Self {
        let values = shape.iter().map(|size| *size as u64).product();
        let factored = dimensions(shape, least);
        let mut axis = |name, size, stride| {
            let entries = values / size;
            let root = factored.map(|_| next.root);
            let axis = Axis { name, at: next.moment, root, entries, size, stride };
            next.moment += entries;
            next.root += root.map_or(0, |_| entries);
            axis
        };
        let Some((second, largest)) = factored else {
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
        let means = Some(Means { at: next.mean, matrices, rows, stride });
        next.mean += matrices;
        Self { axes, means, values }
    }
}

/// Where every tensor's moment is.
pub(crate) struct Factoring {
    /// None where the rule keeps its own.
    pub tensors: Vec<Option<Moment>>,
    pub entries: u64,
    roots: u64,
    means: u64,
    /// Each moment has a slow copy, where the policy is to interpolate.
    pub has_slow: bool,
}

impl Factoring {
    /// `recipes`: one for each group.
    pub fn new(layout: &Layout, recipes: &[Recipe<'_>]) -> Self {
        let mut next = Next::default();
        let mut tensors = Vec::new();
        for tensor in &layout.tensors {
            let factored = recipes[tensor.group].rule.factored(1);
            let moment = |factored: Factored| Moment::new(&tensor.shape, factored.least_dimension, &mut next);
            tensors.push(factored.map(moment));
        }
        let has_slow = recipes
            .iter()
            .any(|recipe| recipe.lookahead.is_some_and(|lookahead| lookahead.policy.keeps_slow_state()));
        Self { tensors, entries: next.moment, roots: next.root, means: next.mean, has_slow }
    }

    /// Values of the moments, their slow copies, the roots of those that are factored, and the means.
    pub fn values(&self) -> u64 {
        self.kept() + self.roots + self.means
    }

    /// Values of the moments and their slow copies.
    fn kept(&self) -> u64 {
        self.entries * if self.has_slow { 2 } else { 1 }
    }
}

/// What is there of each tensor, and the kernels that see to it.
pub(crate) struct FactoredMoments {
    pub factoring: Factoring,
    /// Where the moments start among the factors.
    start: u64,
    /// The first pass of each group whose moments they are.
    sums: Vec<Option<ByAccess<Id<Kernel>>>>,
    fold: Id<Kernel>,
    means: Id<Kernel>,
    roots: Id<Kernel>,
    sync: Option<Id<Kernel>>,
    groups: Vec<Option<Tasks>>,
    partials: Id<Buffer>,
    sheets: Sheets,
    partial_layout: Id<BindGroupLayout>,
    groups_per_dimension: u32,
}

/// One group's second and third pass, and its sync: what they bind, and how many workgroups.
struct Tasks {
    entries: (Id<BindGroup>, u32),
    matrices: Option<(Id<BindGroup>, u32)>,
}

/// A group's tables: the tasks of the second pass, their sheets, and the tasks of the third.
#[derive(Default)]
struct Words {
    entries: Vec<u32>,
    sheets: Vec<u32>,
    matrices: Vec<u32>,
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
    fn new(axis: &Axis, part: &Part, partial: u64, shape: Shape) -> Self {
        let (block, end) = (axis.size * axis.stride, part.value + part.len);
        let (first, last) = (part.value / block, (end - 1) / block);
        let mut along = (0, axis.size);
        if first == last {
            along = (part.value % block / axis.stride, (end - 1) % block / axis.stride + 1);
        }
        let width = if axis.stride.is_multiple_of(4) && part.value.is_multiple_of(4) { 4 } else { 1 };
        let workgroup = u64::from(shape.workgroup);
        let lanes = match axis.stride {
            // Each thread sums alone.
            _ if shape.lanes == 1 => workgroup,
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

/// Words of a task of each pass.
const TASK: usize = 12;
const ENTRY: usize = 14;
const MATRIX: usize = 4;

impl FactoredMoments {
    /// Adds them to a program. `start`: where they begin in `factors`. `alpha`: where the tensors' alphas are.
    pub fn new(
        program: &mut Program,
        limits: &Limits,
        factoring: Factoring,
        layout: &Layout,
        recipes: &[Recipe<'_>],
        shared: &SharedLayouts,
        (factors, start, alpha): (Id<Buffer>, u64, u32),
    ) -> Result<Self, Error> {
        let partial_layout = program.layout(vec![(0, Binding::Read), (1, Binding::ReadWrite)]);
        let reads = (0..3).map(|binding| (binding, Binding::Read));
        let tasks_layout = program.layout(reads.chain([(3, Binding::ReadWrite)]).collect());
        let sums = shared.kernels(program, recipes, Some(partial_layout), |recipe| {
            recipe.is_factored().then(|| recipe.sums())
        });
        let both = [Some(shared.control), Some(tasks_layout)];
        let passes = kernels::moments(program.shape);
        let mut kernel = |source| program.kernel("second moments", &source, &both);
        let [fold, means, roots] = passes.map(&mut kernel);
        let sync = recipes[0].lookahead.and_then(kernels::sync_moments).map(kernel);

        let (sheets, total) = sheets(layout, &factoring, program.shape);
        limits.check_binding(VALUE * total, || "the sums of squared gradients".to_owned())?;
        let of_group = |group| words(layout, &factoring, &sheets, group, start, alpha, recipes);
        let words: Vec<_> = (0..recipes.len()).map(of_group).collect();
        let (label, size) = ("lookahead sums of squares", total.max(1) * VALUE);
        let partials = Buffer::zeros(label, Purpose::Controls, size, Usage::STORAGE);
        let partials = program.buffers.push(partials);
        let mut bound = |tasks: Vec<u32>, sheets: Vec<u32>, words: usize| {
            let count = (tasks.len() / words) as u32;
            let [tasks, sheets] = [tasks, sheets]
                .map(|words| program.buffers.push(Buffer::words("lookahead moments", words, Usage::STORAGE)));
            let group =
                BindGroup::whole("lookahead moments", tasks_layout, [tasks, sheets, partials, factors]);
            (program.groups.push(group), count)
        };
        let tasks = |Words { entries, sheets, matrices }| {
            let first_sheet = sheets.iter().take(4).copied().collect();
            (!entries.is_empty()).then(|| Tasks {
                entries: bound(entries, sheets, ENTRY),
                matrices: (!matrices.is_empty()).then(|| bound(matrices, first_sheet, MATRIX)),
            })
        };
        let groups = words.into_iter().map(tasks).collect();
        Ok(Self {
            factoring,
            start,
            sums,
            fold,
            means,
            roots,
            sync,
            groups,
            partials,
            sheets,
            partial_layout,
            groups_per_dimension: limits.max_compute_workgroups_per_dimension,
        })
    }

    /// A tensor's moments and their slow copies: each one's field, where it is among the factors, and how many
    /// values it has.
    pub fn fields(&self, tensor: usize) -> Vec<(Field<'static>, u64, u64)> {
        let axes = || self.factoring.tensors[tensor].iter().flat_map(|moment| &moment.axes);
        let state = axes().map(|axis| (Field::State(axis.name), self.start + axis.at, axis.entries));
        let slow_start = self.start + self.factoring.entries;
        let slow = axes().map(|axis| (Field::SlowState(axis.name), slow_start + axis.at, axis.entries));
        state.chain(slow.filter(|_| self.factoring.has_slow)).collect()
    }

    /// Bytes of all moments, without their slow copies.
    pub fn state_bytes(&self) -> u64 {
        VALUE * self.factoring.entries
    }

    /// The shape of a segment of this tensor's, for the table.
    pub fn shape(&self, tensor: usize) -> [u32; SHAPE] {
        let Some(moment) = &self.factoring.tensors[tensor] else { return [0; SHAPE] };
        let axis = |index: usize| {
            moment.axes.get(index).map_or([0; 3], |axis: &Axis| {
                let roots = self.start + axis.root.map_or(axis.at, |root| self.factoring.kept() + root);
                // What is not factored is one block of entries side by side.
                let whole = [moment.values.next_multiple_of(4); 2];
                let [block, stride] = axis.root.map_or(whole, |_| [axis.size * axis.stride, axis.stride]);
                [roots, block, stride].map(|word| word.min(u64::from(u32::MAX)) as u32)
            })
        };
        let mut shape = [moment.values as u32; SHAPE];
        shape[1..4].copy_from_slice(&axis(0));
        shape[4..].copy_from_slice(&axis(1));
        shape
    }

    /// The first pass over a run of these parts of a group's tensors, added to a placement's tables.
    pub fn run(
        &self,
        parts: &[Part],
        add: impl FnOnce(Buffer, Id<Buffer>, Id<BindGroupLayout>) -> Id<BindGroup>,
    ) -> Option<Partial> {
        let mut tasks = Vec::new();
        for part in parts {
            let axes = self.factoring.tensors[part.tensor].iter().flat_map(|moment| &moment.axes);
            for (axis, number) in axes.zip(0..) {
                if let Some(sheet) = self.sheets.get(&(part.tensor, number, part.value)) {
                    sheet.tasks(axis, part, &mut tasks);
                }
            }
        }
        if tasks.is_empty() {
            return None;
        }
        let workgroups = grid((tasks.len() / TASK) as u32, self.groups_per_dimension);
        let buffer = Buffer::words("lookahead tasks", tasks, Usage::STORAGE);
        Some(Partial { bind_group: add(buffer, self.partials, self.partial_layout), workgroups })
    }

    /// The first pass over a group's run, bound so.
    pub fn sums(
        &self,
        group: usize,
        access: Access,
        sums: &Partial,
        [control, weights, own]: [Bind; 3],
    ) -> Option<Dispatch> {
        let kernel = *self.sums[group].as_ref()?.get(access)?;
        let binds = [control, weights, own, Bind::Placement(sums.bind_group)];
        Some(Dispatch { kernel, binds, workgroups: sums.workgroups })
    }

    /// The passes of a group after the first.
    pub fn fold(&self, group: usize, control: Bind) -> impl Iterator<Item = Dispatch> {
        let tasks = self.groups[group].iter();
        tasks.flat_map(move |tasks| {
            let means = tasks.matrices.map(|matrices| self.dispatch(self.means, matrices, control));
            let [fold, roots] =
                [self.fold, self.roots].map(|kernel| self.dispatch(kernel, tasks.entries, control));
            [Some(fold), means, Some(roots)].into_iter().flatten()
        })
    }

    /// What a sync does to a group's moments.
    pub fn sync(&self, group: usize, control: Bind) -> Option<Dispatch> {
        Some(self.dispatch(self.sync?, self.groups[group].as_ref()?.entries, control))
    }

    fn dispatch(&self, kernel: Id<Kernel>, (group, tasks): (Id<BindGroup>, u32), control: Bind) -> Dispatch {
        let workgroups = grid(tasks, self.groups_per_dimension);
        Dispatch { kernel, binds: [control, Bind::Program(group), Bind::Unused, Bind::Unused], workgroups }
    }
}

fn means_at(start: u64, factoring: &Factoring) -> u64 {
    start + factoring.values() - factoring.means
}

/// The sheets of every part, and how many partial sums they have.
fn sheets(layout: &Layout, factoring: &Factoring, shape: Shape) -> (Sheets, u64) {
    let (mut sheets, mut total) = (Sheets::new(), 0);
    for part in layout.windows.iter().flat_map(|window| layout.pieces_in(window)) {
        let axes = factoring.tensors[part.tensor].iter().flat_map(|moment| &moment.axes);
        for (axis, number) in axes.zip(0..) {
            let sheet = Sheet::new(axis, &part, total, shape);
            total += sheet.entries * sheet.count;
            sheets.insert((part.tensor, number, part.value), sheet);
        }
    }
    (sheets, total)
}

/// A group's tables.
fn words(
    layout: &Layout,
    factoring: &Factoring,
    sheets: &Sheets,
    group: usize,
    start: u64,
    alpha: u32,
    recipes: &[Recipe<'_>],
) -> Words {
    let Words { mut entries, sheets: mut all_sheets, mut matrices } = Words::default();
    let eps = recipes[group].rule.factored(1).map_or(0.0, |factored| factored.eps) as f32;
    let shape = recipes[group].shape;
    for (index, tensor) in layout.tensors.iter().enumerate() {
        let Some(moment) = factoring.tensors[index].as_ref().filter(|_| tensor.group == group) else {
            continue;
        };
        let alpha = alpha_of(recipes[group].options, alpha, group, index);
        for (number, axis) in moment.axes.iter().enumerate() {
            let means = moment.means.as_ref().filter(|_| number == 0);
            let matrix = means.map_or([u64::MAX, 1, 1], |means| {
                [means_at(start, factoring) + means.at, means.rows * means.stride, means.stride]
            });
            let of_axis = sheets.range((index, number, 0)..(index, number + 1, 0));
            let first_sheet = all_sheets.len() / 4;
            let of_axis: Vec<_> = of_axis.map(|(_, sheet)| sheet).collect();
            all_sheets.extend(of_axis.iter().flat_map(|sheet| sheet.words()));
            let last_sheet = all_sheets.len() / 4;
            let sums = of_axis.iter().map(|sheet| sheet.count).max().unwrap_or(1).max(1);
            let shares = if shape.lanes == 1 { 1 } else { SHARES.min(sums.next_power_of_two()) };
            let at_once = (FOLDED / sums).clamp(u64::from(shape.workgroup) / shares, MOST_ENTRIES);
            for entry in (0..axis.entries).step_by(at_once as usize) {
                let at = start + axis.at + entry;
                let count = at_once.min(axis.entries - entry);
                let words = [at, at + factoring.entries, count, shares, entry];
                entries.extend(words.map(|word| word as u32));
                let root = axis.root.map_or(u64::MAX, |root| start + factoring.kept() + root + entry);
                entries.extend([first_sheet as u32, last_sheet as u32, alpha, root as u32]);
                entries.extend(matrix.map(|word| word as u32));
                entries.extend([((axis.size as f64).recip() as f32).to_bits(), eps.to_bits()]);
            }
        }
        let Some(means) = &moment.means else { continue };
        let rows = start + moment.axes[0].at;
        for matrix in 0..means.matrices {
            let row = matrix / means.stride * means.rows * means.stride + matrix % means.stride;
            let at = means_at(start, factoring) + means.at + matrix;
            matrices.extend([rows + row, means.rows, means.stride, at].map(|word| word as u32));
        }
    }
    Words { entries, sheets: all_sheets, matrices }
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
    fn four_values_are_even_where_rows_are() {
        for (shape, even) in [
            (&[8, 12][..], true),
            (&[12, 8], true),
            (&[3, 12], true),
            (&[12, 6], false),
            (&[2, 8, 4], true),
            (&[8, 8, 3, 3], false),
            (&[8, 8, 1, 1], true),
            (&[7], true),
        ] {
            assert_eq!(is_even(shape, 2), even, "{shape:?}");
        }
    }

    #[test]
    fn moments_lie_side_by_side() {
        let mut next = Next::default();
        let moment = Moment::new(&[5, 2, 7], 2, &mut next);
        let places: Vec<_> = moment.axes.iter().map(|axis| (axis.name, axis.at, axis.entries)).collect();
        assert_eq!(places, [("exp_avg_sq_row", 0, 10), ("exp_avg_sq_col", 10, 14)]);
        assert_eq!(moment.means, Some(Means { at: 0, matrices: 2, rows: 5, stride: 2 }));
        let moment = Moment::new(&[6], 2, &mut next);
        assert_eq!((moment.axes[0].at, moment.axes[0].entries), (24, 6));
        assert_eq!(next, Next { moment: 30, root: 24, mean: 2 });
    }
}
