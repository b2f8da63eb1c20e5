//! Which bytes each dispatch binds: runs of a window's tensors, in our buffers or in the caller's.

use super::{
    access::ByAccess,
    pass::{Partial, table_group},
    program::{BindGroup, BindGroupLayout, Bound, Buffer, Id, Owner, Table, Usage},
    reductions::Reductions,
};
use crate::{
    config::precision::{Half, bytes},
    error::Error,
    kernels::{Access, GRADIENTS_OF_PAIRS, WEIGHTS_OF_PAIRS, Width},
    layout::{
        tensors::{Layout, Part},
        units::{TENSOR_ALIGN, VALUE, up},
    },
};

/// Where a tensor's values lie in the caller's buffers, which are known by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub buffer: usize,
    /// Bytes.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes of the whole buffer.
    pub whole: u64,
}

/// The runs over all windows, with the tables and bind groups that they need.
#[derive(Debug, Default)]
pub struct Placement {
    pub buffers: Table<Buffer>,
    pub groups: Table<BindGroup>,
    pub runs: Vec<Run>,
    /// What is bound in the place of weights where a run has fewer pairs of buffers than its kernels bind.
    nothing: Vec<Id<Buffer>>,
}

impl Placement {
    /// Bytes of the tables.
    pub fn bytes(&self) -> u64 {
        self.buffers.iter().map(|buffer| buffer.size).sum()
    }

    /// So many buffers, each another, with room for one load.
    fn nothing(&mut self, count: usize) -> Vec<Bound> {
        while self.nothing.len() < count {
            let words = vec![0; VEC4 as usize / VALUE as usize];
            self.nothing.push(self.buffers.push(Buffer::words("lookahead nothing", words, Usage::STORAGE)));
        }
        let bound = |buffer: &Id<Buffer>| Bound { buffer: Owner::Placement(*buffer), offset: 0, size: None };
        self.nothing[..count].iter().map(bound).collect()
    }

    /// Whether a run has the kernels over several pairs of buffers.
    fn has_several(&self) -> bool {
        self.runs.iter().any(|run| matches!(run.access, Access::Several(_)))
    }

    /// Adds a table with the bind group of a first pass over it.
    fn table(
        &mut self,
        label: &'static str,
        table: Buffer,
        sums: Id<Buffer>,
        layout: Id<BindGroupLayout>,
    ) -> Id<BindGroup> {
        let table = self.buffers.push(table);
        self.groups.push(table_group(label, layout, table, sums))
    }
}

/// One dispatch's share of a window.
#[derive(Debug)]
pub struct Run {
    pub window: usize,
    pub access: Access,
    /// Of the placement's.
    pub bind_group: Id<BindGroup>,
    /// vec4s, one thread each.
    pub vec4s: u32,
    /// The spans that each reduction sums, if it sums any.
    pub partials: Vec<Option<Partial>>,
    /// The first pass of the second moments, where they are the driver's.
    pub sums: Option<Partial>,
}

/// A part of a tensor and where its weights and gradients lie in the caller's buffers.
struct Placed<'a> {
    part: &'a Part,
    weights: Place,
    gradients: Place,
}

/// Bindings start at multiples of this many bytes: the largest alignment that WebGPU lets a device ask for.
const ALIGNMENT: u64 = 256;

/// Bytes of four values.
const VEC4: u64 = 4 * VALUE;

/// How weights and gradients lie to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    Apart,
    Near,
    Far,
}

impl Lie {
    fn access(self, width: Width) -> Access {
        match self {
            Self::Apart => Access::Borrowed(width),
            Self::Near => Access::Pooled(width),
            Self::Far => Access::Far(width),
        }
    }
}

/// The bytes that a group of placed parts needs bound.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Joined {
    lie: Lie,
    weights: (u64, u64),
    gradients: (u64, u64),
}

impl Joined {
    /// The ranges to bind for both, if `limit` bytes let them.
    fn of(same_buffer: bool, weights: (u64, u64), gradients: (u64, u64), limit: u64) -> Option<Self> {
        let align = |(start, end): (u64, u64)| (start - start % ALIGNMENT, end);
        let fits = |(start, end): (u64, u64)| end - start <= limit;
        let (weights, gradients) = (align(weights), align(gradients));
        if !same_buffer {
            let fits = fits(weights) && fits(gradients);
            return fits.then_some(Self { lie: Lie::Apart, weights, gradients });
        }
        let both = join(weights, gradients);
        if fits(both) {
            return Some(Self { lie: Lie::Near, weights: both, gradients: both });
        }
        let apart = weights.1 <= gradients.0 || gradients.1 <= weights.0;
        let fits = apart && fits(weights) && fits(gradients);
        fits.then_some(Self { lie: Lie::Far, weights, gradients })
    }
}

/// What a run takes: its first parts, the pair of buffers that each is in, and what is bound of each pair.
struct Taken {
    of: Vec<usize>,
    pairs: Vec<Joined>,
    /// The kernels are those over several pairs.
    is_several: bool,
}

/// The values of a binding that no piece of a borrowed tensor takes. Its weights and its gradients may lie
/// side by side in one buffer, too close to be bound apart: then one binding must hold both, from the
/// multiple of an alignment before them on.
pub(crate) fn slack(binding: u64) -> u64 {
    binding / 2 + TENSOR_ALIGN
}

fn join(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    (a.0.min(b.0), a.1.max(b.1))
}

fn ends(place: &Place) -> (u64, u64) {
    (place.offset, place.offset + place.size)
}

/// What makes runs.
pub struct Placer<'a> {
    pub layout: &'a Layout,
    /// The bind group layouts of group 1.
    pub group: &'a ByAccess<Id<BindGroupLayout>>,
    /// The owned access has a table from blocks to segments.
    pub table: bool,
    pub reductions: &'a Reductions,
    pub half_gradients: Option<Half>,
    /// Pairs of borrowed buffers that a run may have.
    pub pairs: u32,
    /// How many alphas, or coefficients of Anderson's, each group has of its own.
    pub alphas_of_group: u32,
}

/// What a run binds besides its tables.
struct Binds {
    access: Access,
    /// By binding.
    entries: Vec<(u32, Bound)>,
}

impl Placer<'_> {
    /// The runs of all windows in the layout's own buffers, one of each a chunk.
    pub fn owned(&self, weights: &[Id<Buffer>], gradients: &[Id<Buffer>]) -> Placement {
        let mut placement = Placement::default();
        for index in 0..self.layout.windows.len() {
            self.owned_run(index, weights, gradients, &mut placement);
        }
        placement
    }

    /// The run of a window in the layout's own buffers.
    fn owned_run(&self, index: usize, weights: &[Id<Buffer>], gradients: &[Id<Buffer>], out: &mut Placement) {
        let window = &self.layout.windows[index];
        let parts = self.layout.pieces_in(window);
        let table = self.table.then(|| {
            let blocks = parts.iter().zip(0..).map(|(part, segment)| (segment, part));
            let mut table = blocks_table(blocks, 0, window.len);
            table.extend(parts.iter().flat_map(|part| self.segment(part, 0, 0)));
            table
        });
        let range = |buffers: &[Id<Buffer>], half| Bound {
            buffer: Owner::Program(buffers[window.chunk]),
            offset: bytes(window.offset, half),
            size: Some(bytes(window.len, half)),
        };
        let segments = (window.len / TENSOR_ALIGN) as u32;
        let shape = WindowShape { first: 0, len: window.len, stride: window.len, segments };
        let entries = vec![(1, range(weights, None)), (2, range(gradients, self.half_gradients))];
        let binds = Binds { access: Access::Owned, entries };
        self.run(index, &parts, shape, binds, table, out);
    }

    /// The runs of all windows whose weights and gradients lie in the caller's buffers, one place a tensor: as few
    /// as buffers and binding limit let be.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] where one part alone cannot be bound, which [`slack`] keeps from happening.
    pub fn borrowed(&self, weights: &[Place], gradients: &[Place], limit: u64) -> Result<Placement, Error> {
        let mut placement = Placement::default();
        for index in 0..self.layout.windows.len() {
            self.borrowed_runs(index, weights, gradients, limit, &mut placement)?;
        }
        Ok(placement)
    }

    fn borrowed_runs(
        &self,
        index: usize,
        weights: &[Place],
        gradients: &[Place],
        limit: u64,
        out: &mut Placement,
    ) -> Result<(), Error> {
        let parts = self.layout.pieces_in(&self.layout.windows[index]);
        let place = |part: &Part, whole: &Place, half| Place {
            offset: whole.offset + bytes(part.value, half),
            size: bytes(part.len, half),
            ..*whole
        };
        let placed = parts.iter().map(|part| Placed {
            part,
            weights: place(part, &weights[part.tensor], None),
            gradients: place(part, &gradients[part.tensor], self.half_gradients),
        });
        let placed: Vec<_> = placed.collect();
        let mut rest = &placed[..];
        while let Some(first) = rest.first() {
            let taken = match self.join_several(rest, limit) {
                // One pair that is left over needs no kernels of its own.
                taken if taken.pairs.len() > 1 || !taken.of.is_empty() && out.has_several() => taken,
                _ => {
                    let (count, joined) = self.join(first, &rest[1..], limit)?;
                    Taken { of: vec![0; count], pairs: vec![joined], is_several: false }
                }
            };
            let (run, others) = rest.split_at(taken.of.len());
            self.borrowed_run(index, run, taken, limit, out);
            rest = others;
        }
        Ok(())
    }

    /// How many parts one run can take from the first on, and what it binds.
    fn join(&self, first: &Placed<'_>, others: &[Placed<'_>], limit: u64) -> Result<(usize, Joined), Error> {
        let same = first.weights.buffer == first.gradients.buffer;
        let (mut weights, mut gradients) = (ends(&first.weights), ends(&first.gradients));
        let mut joined = Joined::of(same, weights, gradients, limit).ok_or_else(|| Error::Limit {
            limit: "max_storage_buffer_binding_size",
            needed: join(weights, gradients).1 - join(weights, gradients).0,
            offered: limit,
            purpose: format!("`{}` in borrowed buffers", self.layout.tensors[first.part.tensor].name),
        })?;
        let mut count = 1;
        for next in others {
            let (w, g) = (join(weights, ends(&next.weights)), join(gradients, ends(&next.gradients)));
            let wider = Joined::of(same, w, g, limit);
            let buffers = next.weights.buffer == first.weights.buffer
                && next.gradients.buffer == first.gradients.buffer;
            let Some(wider) = wider.filter(|_| buffers) else { break };
            (weights, gradients, joined, count) = (w, g, wider, count + 1);
        }
        Ok((count, joined))
    }

    /// As many parts as one run can take from the first on where each may be in another pair of buffers. What is written is
    /// bound once, and nowhere else; what cannot be read four values at a time is in other runs than what can.
    fn join_several(&self, placed: &[Placed<'_>], limit: u64) -> Taken {
        let mut taken = Taken { of: vec![], pairs: vec![], is_several: true };
        let mut heads: Vec<&Placed<'_>> = Vec::new();
        let is_by_vec4s = |next: &Placed<'_>| {
            let alone = Joined::of(false, ends(&next.weights), ends(&next.gradients), limit);
            alone.and_then(|alone| self.by_vec4s(std::iter::once(next), alone, limit)).is_some()
        };
        for next in placed {
            if heads.first().is_some_and(|head| is_by_vec4s(head) != is_by_vec4s(next)) {
                break;
            }
            let (w, g) = (next.weights.buffer, next.gradients.buffer);
            let known = heads.iter().position(|head| (head.weights.buffer, head.gradients.buffer) == (w, g));
            let is_taken = |head: &&Placed<'_>| {
                [head.weights.buffer, head.gradients.buffer].contains(&w) || head.weights.buffer == g
            };
            let (mut weights, mut gradients) = (ends(&next.weights), ends(&next.gradients));
            match known {
                Some(pair) => {
                    let joined: &Joined = &taken.pairs[pair];
                    (weights, gradients) = (join(joined.weights, weights), join(joined.gradients, gradients));
                }
                None if w == g || heads.len() == self.pairs as usize || heads.iter().any(is_taken) => break,
                None => {}
            }
            let Some(joined) = Joined::of(false, weights, gradients, limit) else { break };
            match known {
                Some(pair) => taken.pairs[pair] = joined,
                None => {
                    taken.pairs.push(joined);
                    heads.push(next);
                }
            }
            taken.of.push(known.unwrap_or(taken.pairs.len() - 1));
        }
        taken
    }

    /// The ranges to bind so that parts can be read four values at a time, if they can: each starts at a multiple of
    /// four, and no buffer or limit ends before the four that the last is in.
    fn by_vec4s<'a>(
        &self,
        mut placed: impl Iterator<Item = &'a Placed<'a>>,
        joined: Joined,
        limit: u64,
    ) -> Option<Joined> {
        let width = self.gradient_width();
        let fit = |placed: &Placed<'_>| {
            placed.weights.offset.is_multiple_of(VEC4)
                && placed.gradients.offset.is_multiple_of(4 * width)
                && placed.weights.whole >= joined.weights.1.next_multiple_of(VEC4)
                && placed.gradients.whole >= joined.gradients.1.next_multiple_of(VEC4)
        };
        if !placed.all(fit) {
            return None;
        }
        let up = |(start, end): (u64, u64)| (start, end.next_multiple_of(VEC4));
        let same = joined.lie != Lie::Apart;
        let wider = Joined::of(same, up(joined.weights), up(joined.gradients), limit)?;
        (wider.lie == joined.lie).then_some(wider)
    }

    /// Bytes of a gradient's value.
    fn gradient_width(&self) -> u64 {
        if self.half_gradients.is_some() { 2 } else { VALUE }
    }

    fn borrowed_run(
        &self,
        index: usize,
        placed: &[Placed<'_>],
        taken: Taken,
        limit: u64,
        out: &mut Placement,
    ) {
        let ([head, ..], [.., last]) = (placed, placed) else { return };
        let of =
            |pair: usize| placed.iter().zip(&taken.of).filter(move |(_, of)| **of == pair).map(|(it, _)| it);
        let wider = (0..).zip(&taken.pairs).map(|(pair, joined)| self.by_vec4s(of(pair), *joined, limit));
        let (width, pairs) = match wider.collect::<Option<Vec<_>>>() {
            Some(wider) => (Width::Vec4, wider),
            None => (Width::Value, taken.pairs.clone()),
        };
        let window = &self.layout.windows[index];
        let first = head.part.at;
        let len = up(last.part.at + last.part.len) - first;
        let blocks = placed.iter().enumerate().map(|(segment, placed)| (segment as u32, placed.part));
        let mut table = blocks_table(blocks, first, len);
        let segments = table.len() as u32;
        for (Placed { part, weights, gradients }, &pair) in placed.iter().zip(&taken.of) {
            let weights = (weights.offset - pairs[pair].weights.0) / VALUE;
            let gradients = (gradients.offset - pairs[pair].gradients.0) / self.gradient_width();
            table.extend(self.segment(part, weights as u32, gradients as u32));
            table.extend(taken.is_several.then_some(pair as u32));
        }
        let range = |place: &Place, (start, end): (u64, u64)| Bound {
            buffer: Owner::Caller(place.buffer),
            offset: start,
            size: Some(end - start),
        };
        let bound = (0..).zip(&pairs).filter_map(|(pair, joined)| {
            let head = of(pair).next()?;
            Some((range(&head.weights, joined.weights), range(&head.gradients, joined.gradients)))
        });
        let bound: Vec<_> = bound.collect();
        let binds = match taken.is_several {
            true => self.several(width, &bound, out),
            false => Binds {
                access: pairs[0].lie.access(width),
                entries: bound
                    .into_iter()
                    .flat_map(|(weights, gradients)| {
                        [Some((1, weights)), (pairs[0].lie != Lie::Near).then_some((2, gradients))]
                    })
                    .flatten()
                    .collect(),
            },
        };
        let parts: Vec<_> = placed.iter().map(|placed| placed.part.clone()).collect();
        let shape = WindowShape { first, len, stride: window.len, segments };
        self.run(index, &parts, shape, binds, Some(table), out);
    }

    /// What is bound of several pairs of buffers.
    fn several(&self, width: Width, bound: &[(Bound, Bound)], out: &mut Placement) -> Binds {
        let missing = (self.pairs as usize).saturating_sub(bound.len());
        let weights = bound.iter().map(|(weights, _)| *weights).chain(out.nothing(missing));
        // What is only read may be bound more than once.
        let again = bound.iter().take(1).cycle().take(missing);
        let gradients = bound.iter().chain(again).map(|(_, gradients)| *gradients);
        let entries = (WEIGHTS_OF_PAIRS..).zip(weights).chain((GRADIENTS_OF_PAIRS..).zip(gradients));
        Binds { access: Access::Several(width), entries: entries.collect() }
    }

    /// A segment's words, as `shaders/parts/window.wgsl` has them.
    fn segment(&self, part: &Part, weights: u32, gradients: u32) -> [u32; 8] {
        let rows = self.reductions.rows[part.tensor];
        [
            (part.at / 4) as u32,
            part.len as u32,
            weights,
            gradients,
            part.tensor as u32,
            part.value as u32,
            rows.length as u32,
            rows.first,
        ]
    }

    fn run(
        &self,
        window: usize,
        parts: &[Part],
        shape: WindowShape,
        binds: Binds,
        mut table: Option<Vec<u32>>,
        out: &mut Placement,
    ) {
        let Some(&layout) = self.group.get(binds.access) else { return };
        let group = self.layout.windows[window].group;
        let mut shapes = 0;
        if let (Some(table), Some(moments)) = (&mut table, &self.reductions.moments) {
            shapes = table.len() as u32;
            table.extend(parts.iter().flat_map(|part| moments.shape(part.tensor)));
        }
        let words = self.window_words(window, shape, shapes);
        let shape = out.buffers.push(Buffer::words("lookahead window", words, Usage::UNIFORM));
        let table =
            table.map(|table| out.buffers.push(Buffer::words("lookahead table", table, Usage::STORAGE)));
        let whole = |buffer| Bound { buffer: Owner::Placement(buffer), offset: 0, size: None };
        let mut entries = vec![(0, whole(shape))];
        entries.extend(binds.entries);
        entries.extend(table.map(|table| (3, whole(table))));
        let label = "lookahead weights and gradients";
        let bind_group = out.groups.push(BindGroup { label, layout, entries });
        let partials = self
            .reductions
            .partials(group, parts, |table, sums, layout| out.table("lookahead spans", table, sums, layout));
        let moments = self.reductions.moments.as_ref();
        let sums = moments.and_then(|moments| {
            moments.run(parts, |table, sums, layout| out.table("lookahead tasks", table, sums, layout))
        });
        let first = parts.first().map_or(0, |part| part.at);
        let end = parts.last().map_or(0, |part| up(part.at + part.len));
        let vec4s = ((end - first) / 4) as u32;
        out.runs.push(Run { window, access: binds.access, bind_group, vec4s, partials, sums });
    }

    /// `Window` of `shaders/parts/window.wgsl`; `shapes`: where the table has the shapes of second moments.
    fn window_words(&self, window: usize, shape: WindowShape, shapes: u32) -> Vec<u32> {
        let regions = self.reductions.regions;
        let group = self.layout.windows[window].group as u32;
        let alpha = regions.alpha + self.alphas_of_group * group;
        let window = window as u32;
        let numbers = [regions.clip, regions.trust, alpha, regions.means, window, regions.scale, shapes, 0];
        [shape.words().as_slice(), &numbers].concat()
    }
}

/// `Window` of `shaders/parts/window.wgsl`, in values.
struct WindowShape {
    first: u64,
    len: u64,
    stride: u64,
    segments: u32,
}

impl WindowShape {
    fn words(&self) -> [u32; 4] {
        [(self.first / 4) as u32, (self.len / 4) as u32, (self.stride / 4) as u32, self.segments]
    }
}

/// What each block of `len` values from `first` on belongs to.
fn blocks_table<'a>(parts: impl Iterator<Item = (u32, &'a Part)>, first: u64, len: u64) -> Vec<u32> {
    let mut table = vec![0; (len / TENSOR_ALIGN) as usize];
    for (index, part) in parts {
        let start = ((part.at - first) / TENSOR_ALIGN) as usize;
        let blocks = (up(part.len) / TENSOR_ALIGN) as usize;
        table[start..start + blocks].fill(index);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_buffer_is_bound_once_where_it_can_be() {
        let near = Joined::of(true, (512, 1024), (1024, 1536), 4096).unwrap();
        assert_eq!((near.lie, near.weights), (Lie::Near, (512, 1536)));
        let far = Joined::of(true, (512, 1024), (100_100, 100_612), 4096).unwrap();
        assert_eq!((far.lie, far.gradients), (Lie::Far, (100_096, 100_612)));
        assert_eq!(Joined::of(true, (0, 9000), (100_000, 100_004), 4096), None);
        let two = Joined::of(false, (4, 1024), (0, 4096), 4096).unwrap();
        assert_eq!((two.lie, two.weights), (Lie::Apart, (0, 1024)));
    }

    #[test]
    fn the_largest_part_fits_wherever_its_gradients_are() {
        for binding in [512, 576, 4096] {
            let len = VALUE * (binding - slack(binding));
            for (start, gap) in (0..128).flat_map(|start| (0..200).map(move |gap| (start, gap))) {
                let first = (VALUE * start, VALUE * start + len);
                let second = (first.1 + VALUE * gap, first.1 + VALUE * gap + len);
                for same_buffer in [true, false] {
                    for (weights, gradients) in [(first, second), (second, first)] {
                        let bound = Joined::of(same_buffer, weights, gradients, VALUE * binding);
                        assert!(bound.is_some(), "{binding}, {weights:?}, {gradients:?}");
                    }
                }
            }
        }
    }
}
