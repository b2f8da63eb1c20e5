//! Which bytes each dispatch binds: runs of a window's tensors, in our buffers or in the caller's.

use std::ops::Range;

use crate::{
    config::precision::{Half, bytes},
    error::Error,
    gpu,
    kernels::Access,
    layout::{BLOCK, Layout, Part, Tensor, VALUE, up},
    reduction::{Partial, Reductions},
};

/// A range of a buffer: where a tensor's values lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The buffer.
    pub buffer: wgpu::Buffer,
    /// First byte; a multiple of 256 in a buffer of the optimizer's, of 4 in one of the caller's.
    pub offset: u64,
    /// Bytes: 4 for each value (2 where it is half-width, rounded up to a multiple of 4), without padding.
    pub size: u64,
}

impl Slice {
    /// `size` bytes of `buffer` from byte `offset` on.
    pub fn new(buffer: &wgpu::Buffer, offset: u64, size: u64) -> Self {
        Self { buffer: buffer.clone(), offset, size }
    }

    /// The whole buffer.
    pub fn whole(buffer: &wgpu::Buffer) -> Self {
        Self::new(buffer, 0, buffer.size())
    }

    /// To be bound in a kernel.
    pub fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: self.offset,
            size: wgpu::BufferSize::new(self.size),
        })
    }

    fn bytes(&self) -> Range<u64> {
        self.offset..self.offset + self.size
    }

    /// Refuses a range that cannot be `role` of `tensor`.
    pub(crate) fn check(&self, role: &'static str, tensor: &Tensor, half: Option<Half>) -> Result<(), Error> {
        let end = self.offset.saturating_add(self.size);
        let error = |problem: String| {
            let (tensor, start, size) = (tensor.name.clone(), self.offset, self.buffer.size());
            Err(Error::Range { role, tensor, start, end, size, problem })
        };
        if !self.offset.is_multiple_of(VALUE) {
            return error("the first byte must be a multiple of 4".to_owned());
        }
        if end > self.buffer.size() {
            return error("it ends past the buffer".to_owned());
        }
        let expected = bytes(tensor.len, half);
        if self.size != expected {
            return error(format!("the shape {:?} has {expected} bytes", tensor.shape));
        }
        self.check_usage(role, &tensor.name, wgpu::BufferUsages::STORAGE)
    }

    /// Refuses a buffer that lacks a usage.
    pub(crate) fn check_usage(
        &self,
        role: &'static str,
        tensor: &str,
        needed: wgpu::BufferUsages,
    ) -> Result<(), Error> {
        let has = self.buffer.usage();
        if has.contains(needed) {
            return Ok(());
        }
        Err(Error::Range {
            role,
            tensor: tensor.to_owned(),
            start: self.offset,
            end: self.offset.saturating_add(self.size),
            size: self.buffer.size(),
            problem: format!("the buffer lacks the usage {needed:?} (it has {has:?})"),
        })
    }
}

/// Refuses ranges of one buffer that share bytes.
pub(crate) fn check_disjoint(mut ranges: Vec<(String, &Slice)>) -> Result<(), Error> {
    ranges.sort_by(|(_, a), (_, b)| a.buffer.cmp(&b.buffer).then(a.offset.cmp(&b.offset)));
    for pair in ranges.windows(2) {
        let [(first, a), (second, b)] = pair else { continue };
        if a.buffer == b.buffer && a.bytes().end > b.offset {
            return Err(Error::Overlap { first: first.clone(), second: second.clone() });
        }
    }
    Ok(())
}

/// One dispatch's share of a window.
#[derive(Debug)]
pub(crate) struct Run {
    pub window: usize,
    pub access: Access,
    pub bind_group: wgpu::BindGroup,
    /// vec4s, one thread each.
    pub threads: u32,
    /// The spans that each reduction sums, if it sums any.
    pub partials: Vec<Option<Partial>>,
    /// The first pass of the second moments, where they are the driver's.
    pub sums: Option<Partial>,
    /// Bytes of the tables.
    pub table_bytes: u64,
}

impl Run {
    /// Bytes of its tables and of its spans.
    pub fn bytes(&self) -> u64 {
        let spans = self.partials.iter().chain([&self.sums]).flatten().map(|partial| partial.bytes);
        self.table_bytes + spans.sum::<u64>()
    }
}

/// A part of a tensor and where its weights and gradients lie in the caller's buffers.
struct Placed<'a> {
    part: &'a Part,
    weights: Slice,
    gradients: Slice,
}

/// Bindings start at multiples of this many bytes: the largest alignment that WebGPU lets a device ask for.
const ALIGNMENT: u64 = 256;

/// The bytes that a group of placed parts needs bound.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bound {
    access: Access,
    weights: (u64, u64),
    gradients: (u64, u64),
}

impl Bound {
    /// The ranges to bind for both, if `limit` bytes let them.
    fn of(same_buffer: bool, weights: (u64, u64), gradients: (u64, u64), limit: u64) -> Option<Self> {
        let align = |(start, end): (u64, u64)| (start - start % ALIGNMENT, end);
        let fits = |(start, end): (u64, u64)| end - start <= limit;
        let (weights, gradients) = (align(weights), align(gradients));
        if !same_buffer {
            let fits = fits(weights) && fits(gradients);
            return fits.then_some(Self { access: Access::Borrowed, weights, gradients });
        }
        let both = join(weights, gradients);
        if fits(both) {
            return Some(Self { access: Access::Pooled, weights: both, gradients: both });
        }
        let apart = weights.1 <= gradients.0 || gradients.1 <= weights.0;
        let fits = apart && fits(weights) && fits(gradients);
        fits.then_some(Self { access: Access::Far, weights, gradients })
    }
}

/// The values of a binding that no piece of a borrowed tensor takes. Its weights and its gradients may lie
/// side by side in one buffer, too close to be bound apart: then one binding must hold both, from the
/// multiple of an alignment before them on.
pub(crate) fn slack(binding: u64) -> u64 {
    binding / 2 + BLOCK
}

fn join(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    (a.0.min(b.0), a.1.max(b.1))
}

fn ends(slice: &Slice) -> (u64, u64) {
    (slice.offset, slice.offset + slice.size)
}

/// What makes runs: the device, the layout and the bind group layouts of group 1.
pub(crate) struct Binder<'a> {
    pub device: &'a wgpu::Device,
    pub layout: &'a Layout,
    /// The bind group layout of each access.
    pub group: &'a dyn Fn(Access) -> wgpu::BindGroupLayout,
    /// The owned access has a table from blocks to segments.
    pub table: bool,
    pub reductions: &'a Reductions,
    pub half_gradients: Option<Half>,
    /// Each group has its own adaptive alpha.
    pub alpha_by_group: bool,
}

impl Binder<'_> {
    /// The runs of all windows in the layout's own buffers.
    pub fn owned_all(&self, weights: &[wgpu::Buffer], gradients: &[wgpu::Buffer]) -> Vec<Run> {
        (0..self.layout.windows.len()).map(|window| self.owned(window, weights, gradients)).collect()
    }

    /// The run of a window in the layout's own buffers.
    fn owned(&self, index: usize, weights: &[wgpu::Buffer], gradients: &[wgpu::Buffer]) -> Run {
        let window = &self.layout.windows[index];
        let parts = self.layout.pieces_in(window);
        let table = self.table.then(|| {
            let blocks = parts.iter().zip(0..).map(|(part, segment)| (segment, part));
            let mut table = blocks_table(blocks, 0, window.len);
            table.extend(parts.iter().flat_map(|part| self.segment(part, 0, 0)));
            table
        });
        let range = |buffers: &[wgpu::Buffer], half| {
            let (offset, size) = (bytes(window.offset, half), bytes(window.len, half));
            Slice::new(&buffers[window.chunk], offset, size)
        };
        let segments = (window.len / BLOCK) as u32;
        let shape = WindowShape { first: 0, len: window.len, stride: window.len, segments };
        let bound = (Access::Owned, range(weights, None), Some(range(gradients, self.half_gradients)));
        self.run(index, &parts, shape, bound, table)
    }

    /// The runs of a window whose weights and gradients lie in the caller's buffers, one `Slice` a tensor:
    /// as few as buffers and binding limit let be.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] where one part alone cannot be bound, which [`slack`] keeps from happening.
    fn borrowed(
        &self,
        index: usize,
        weights: &[Slice],
        gradients: &[Slice],
        limit: u64,
    ) -> Result<Vec<Run>, Error> {
        let window = &self.layout.windows[index];
        let parts = self.layout.pieces_in(window);
        let placed: Vec<_> = parts
            .iter()
            .map(|part| {
                let place = |slice: &Slice, half| {
                    let offset = slice.offset + bytes(part.value, half);
                    Slice::new(&slice.buffer, offset, bytes(part.len, half))
                };
                let weights = place(&weights[part.tensor], None);
                let gradients = place(&gradients[part.tensor], self.half_gradients);
                Placed { part, weights, gradients }
            })
            .collect();
        let mut runs = Vec::new();
        let mut rest = &placed[..];
        while let Some(first) = rest.first() {
            let same = first.weights.buffer == first.gradients.buffer;
            let (mut weights, mut gradients) = (ends(&first.weights), ends(&first.gradients));
            let mut bound = Bound::of(same, weights, gradients, limit).ok_or_else(|| Error::Limit {
                limit: "max_storage_buffer_binding_size",
                needed: join(weights, gradients).1 - join(weights, gradients).0,
                offered: limit,
                purpose: format!("`{}` in borrowed buffers", self.layout.tensors[first.part.tensor].name),
            })?;
            let mut count = 1;
            for next in &rest[1..] {
                let (w, g) = (join(weights, ends(&next.weights)), join(gradients, ends(&next.gradients)));
                let wider = Bound::of(same, w, g, limit);
                let buffers = next.weights.buffer == first.weights.buffer
                    && next.gradients.buffer == first.gradients.buffer;
                let Some(wider) = wider.filter(|_| buffers) else { break };
                (weights, gradients, bound, count) = (w, g, wider, count + 1);
            }
            let (run, others) = rest.split_at(count);
            runs.push(self.borrowed_run(index, run, bound));
            rest = others;
        }
        Ok(runs)
    }

    /// [`Self::borrowed`] for every window.
    pub fn borrowed_all(
        &self,
        weights: &[Slice],
        gradients: &[Slice],
        limit: u64,
    ) -> Result<Vec<Run>, Error> {
        let mut runs = Vec::new();
        for window in 0..self.layout.windows.len() {
            runs.extend(self.borrowed(window, weights, gradients, limit)?);
        }
        Ok(runs)
    }

    fn borrowed_run(&self, index: usize, placed: &[Placed<'_>], bound: Bound) -> Run {
        let window = &self.layout.windows[index];
        let first = placed[0].part.at;
        let last = placed[placed.len() - 1].part;
        let len = up(last.at + last.len) - first;
        let blocks = placed.iter().enumerate().map(|(segment, placed)| (segment as u32, placed.part));
        let mut table = blocks_table(blocks, first, len);
        let segments = table.len() as u32;
        for Placed { part, weights, gradients } in placed {
            let weights = (weights.offset - bound.weights.0) / VALUE;
            let width = if self.half_gradients.is_some() { 2 } else { VALUE };
            let gradients = (gradients.offset - bound.gradients.0) / width;
            table.extend(self.segment(part, weights as u32, gradients as u32));
        }
        let range = |slice: &Slice, (start, end): (u64, u64)| Slice::new(&slice.buffer, start, end - start);
        let weights = range(&placed[0].weights, bound.weights);
        let gradients = range(&placed[0].gradients, bound.gradients);
        let gradients = (bound.access != Access::Pooled).then_some(gradients);
        let parts: Vec<_> = placed.iter().map(|placed| placed.part.clone()).collect();
        let shape = WindowShape { first, len, stride: window.len, segments };
        self.run(index, &parts, shape, (bound.access, weights, gradients), Some(table))
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
        (access, weights, gradients): (Access, Slice, Option<Slice>),
        table: Option<Vec<u32>>,
    ) -> Run {
        let regions = self.reductions.regions;
        let group = self.layout.windows[window].group;
        let alpha = regions.alpha + if self.alpha_by_group { group as u32 } else { 0 };
        let [first, len, stride, segments] = shape.words();
        let mut table = table;
        let mut shapes = 0;
        if let (Some(table), Some(moments)) = (&mut table, &self.reductions.moments) {
            shapes = table.len() as u32;
            table.extend(parts.iter().flat_map(|part| moments.shape(part.tensor)));
        }
        let window_number = window as u32;
        let numbers =
            [regions.clip, regions.trust, alpha, regions.means, window_number, regions.scale, shapes, 0];
        let words = [[first, len, stride, segments].as_slice(), &numbers].concat();
        let shape = gpu::filled(self.device, "lookahead window", &words, wgpu::BufferUsages::UNIFORM);
        let table = table
            .map(|table| gpu::filled(self.device, "lookahead table", &table, wgpu::BufferUsages::STORAGE));
        let table_bytes = shape.size() + table.as_ref().map_or(0, wgpu::Buffer::size);
        let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let mut entries = vec![entry(0, shape.as_entire_binding()), entry(1, weights.binding())];
        entries.extend(gradients.as_ref().map(|slice| entry(2, slice.binding())));
        entries.extend(table.as_ref().map(|table| entry(3, table.as_entire_binding())));
        let bind_group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("lookahead weights and gradients"),
            layout: &(self.group)(access),
            entries: &entries,
        });
        let first = parts.first().map_or(0, |part| part.at);
        let end = parts.last().map_or(0, |part| up(part.at + part.len));
        let partials = self.reductions.partials(self.device, group, parts);
        let moments = self.reductions.moments.as_ref();
        let sums = moments.and_then(|moments| moments.run(self.device, parts));
        let threads = ((end - first) / 4) as u32;
        Run { window, access, bind_group, threads, partials, sums, table_bytes }
    }
}

/// `La_Window` of `shaders/parts/window.wgsl`, in values.
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
    let mut table = vec![0; (len / BLOCK) as usize];
    for (index, part) in parts {
        let start = ((part.at - first) / BLOCK) as usize;
        let blocks = (up(part.len) / BLOCK) as usize;
        table[start..start + blocks].fill(index);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_buffer_is_bound_once_where_it_can_be() {
        let near = Bound::of(true, (512, 1024), (1024, 1536), 4096).unwrap();
        assert_eq!((near.access, near.weights), (Access::Pooled, (512, 1536)));
        let far = Bound::of(true, (512, 1024), (100_100, 100_612), 4096).unwrap();
        assert_eq!((far.access, far.gradients), (Access::Far, (100_096, 100_612)));
        assert_eq!(Bound::of(true, (0, 9000), (100_000, 100_004), 4096), None);
        let two = Bound::of(false, (4, 1024), (0, 4096), 4096).unwrap();
        assert_eq!((two.access, two.weights), (Access::Borrowed, (0, 1024)));
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
                        let bound = Bound::of(same_buffer, weights, gradients, VALUE * binding);
                        assert!(bound.is_some(), "{binding}, {weights:?}, {gradients:?}");
                    }
                }
            }
        }
    }
}
