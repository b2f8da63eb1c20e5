//! Packing on the GPU: kernels that read the optimizer's own buffers, a dispatch a tensor.

use std::ops::Range;

use lookahead_wgpu::{Field, Optimizer, Slice, wgpu};

use super::{
    kernels::{Kernels, Layouts, bind},
    reading::{Part, Reading, caught},
};
use crate::{
    blocks::{Blocks, Tensor},
    error::Error,
    settings::{Mode, Settings},
    wire::{BLOCK, Wire},
};

/// Bytes from one tensor's words to the next's.
const STRIDE: usize = 256;
/// Workgroups in x.
const COLUMNS: usize = 32_768;
/// Bytes of a block's values.
const BLOCK_VALUES: u64 = 4 * BLOCK as u64;

pub(crate) struct Device {
    device: wgpu::Device,
    pub queue: wgpu::Queue,
    blocks: Blocks,
    wire: Wire,
    kernels: Kernels,
    tensors: Vec<Bound>,
    buffers: Buffers,
}

/// What all tensors have together.
struct Buffers {
    packed: wgpu::Buffer,
    kept: wgpu::Buffer,
    /// What was kept of a fragment before it was packed that is under way.
    before: wgpu::Buffer,
    /// One word: whether a value is not finite.
    broken: wgpu::Buffer,
    /// Fast weights of a fragment, to be mixed in.
    own: wgpu::Buffer,
}

/// Bytes of each.
struct Sizes {
    packed: u64,
    kept: u64,
    before: u64,
    own: u64,
}

impl Sizes {
    fn of(blocks: &Blocks, settings: &Settings) -> Self {
        let wire = settings.wire;
        let largest = (0..blocks.fragments()).map(|fragment| blocks.blocks(fragment).len()).max();
        let largest = BLOCK_VALUES * largest.unwrap_or(0) as u64;
        let is_streamed = settings.timetable.overlap > 0;
        Self {
            packed: (blocks.count() * wire.block_bytes()) as u64,
            kept: 4 * blocks.all_kept(wire) as u64,
            before: if is_streamed && wire.feeds_back() { largest } else { 0 },
            own: if settings.mixes() { largest } else { 0 },
        }
    }

    fn largest(&self) -> u64 {
        self.packed.max(self.kept).max(self.own)
    }
}

impl Buffers {
    fn new(device: &wgpu::Device, sizes: &Sizes) -> Self {
        let storage = |label, size: u64| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                // A binding of no bytes is not allowed.
                size: size.max(4),
                usage: USAGE,
                mapped_at_creation: false,
            })
        };
        Self {
            packed: storage("packed", sizes.packed),
            kept: storage("kept", sizes.kept),
            before: storage("kept before", sizes.before),
            broken: storage("broken", 4),
            own: storage("fast weights", sizes.own),
        }
    }
}

/// What is dispatched for a tensor.
struct Bound {
    values: Slice,
    packing: wgpu::BindGroup,
    unpacking: wgpu::BindGroup,
    mixing: Option<wgpu::BindGroup>,
    workgroups: (u32, u32),
}

/// Where a tensor's values lie, and what they are the difference to.
struct Place {
    values: Slice,
    base: Option<Slice>,
    tensor: Tensor,
    /// Its first block among its fragment's.
    first: usize,
}

impl Device {
    /// None where it cannot be done here.
    pub fn new(
        optimizer: &Optimizer,
        settings: &Settings,
        blocks: &Blocks,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
    ) -> Result<Option<Self>, Error> {
        let Some(places) = places(optimizer, settings, blocks)? else { return Ok(None) };
        let (sizes, limits) = (Sizes::of(blocks, settings), device.limits());
        if sizes.largest() > limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)
            || limits.min_uniform_buffer_offset_alignment as usize > STRIDE
        {
            return Ok(None);
        }
        let make = || Self::make(device, queue, settings, blocks, &places, &sizes);
        Ok(Some(caught(device, "making what packs values", make)?))
    }

    fn make(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        settings: &Settings,
        blocks: &Blocks,
        places: &[Place],
        sizes: &Sizes,
    ) -> Self {
        let layouts = Layouts::new(device, settings.mixes());
        let buffers = Buffers::new(device, sizes);
        let words = words(device, queue, places);
        let differs = places.iter().any(|place| place.base.is_some());
        Self {
            kernels: Kernels::new(device, settings, &layouts, differs),
            tensors: places.iter().map(|place| bound(device, &layouts, place, &words, &buffers)).collect(),
            device: device.clone(),
            queue: queue.clone(),
            blocks: blocks.clone(),
            wire: settings.wire,
            buffers,
        }
    }

    /// Whether all that is to be sent of a fragment is finite. It lies where the kernels bind it.
    pub fn read(&mut self, optimizer: &Optimizer, field: Field<'_>, fragment: usize) -> Result<bool, Error> {
        check_readable(optimizer, field)?;
        let mut encoder = self.encoder();
        self.look(&mut encoder, fragment);
        let bytes = self.back(encoder, &[self.broken()])?;
        Ok(is_fine(&bytes))
    }

    pub fn pack(&mut self, fragment: usize) -> Result<Vec<u8>, Error> {
        let mut encoder = self.encoder();
        self.dispatch(&mut encoder, &self.kernels.pack, fragment, |tensor| &tensor.packing);
        self.back(encoder, &[self.packed(fragment)])
    }

    /// Packs a fragment's weights. What is read back is the packed bytes, with a word behind them that is 0 where all
    /// are finite.
    pub fn begin(&mut self, optimizer: &Optimizer, fragment: usize) -> Result<Reading, Error> {
        check_readable(optimizer, Field::Weights)?;
        let mut encoder = self.encoder();
        let Range { start, end } = self.kept_bytes(fragment);
        if start < end {
            let Buffers { kept, before, .. } = &self.buffers;
            encoder.copy_buffer_to_buffer(kept, start, before, 0, end - start);
        }
        self.look(&mut encoder, fragment);
        self.dispatch(&mut encoder, &self.kernels.pack, fragment, |tensor| &tensor.packing);
        Reading::begin(&self.device, &self.queue, encoder, &[self.packed(fragment), self.broken()])
    }

    pub fn take_back(&mut self, fragment: usize) {
        let Range { start, end } = self.kept_bytes(fragment);
        if start < end {
            let mut encoder = self.encoder();
            let Buffers { kept, before, .. } = &self.buffers;
            encoder.copy_buffer_to_buffer(before, 0, kept, start, end - start);
            self.queue.submit([encoder.finish()]);
        }
    }

    /// Writes what the mean stands for where a fragment's values were.
    pub fn write(&self, fragment: usize, mean: &[u8]) {
        self.queue.write_buffer(&self.buffers.packed, self.packed(fragment).offset, mean);
        let mut encoder = self.encoder();
        self.dispatch(&mut encoder, &self.kernels.unpack, fragment, |tensor| &tensor.unpacking);
        self.queue.submit([encoder.finish()]);
    }

    pub fn remember(&self, fragment: usize) {
        let mut encoder = self.encoder();
        let start = self.blocks.blocks(fragment).start;
        for (tensor, bound) in self.blocks.fragment(fragment).iter().zip(self.of(fragment)) {
            let Slice { buffer, offset, size } = &bound.values;
            let place = BLOCK_VALUES * (tensor.first - start) as u64;
            encoder.copy_buffer_to_buffer(buffer, *offset, &self.buffers.own, place, *size);
        }
        self.queue.submit([encoder.finish()]);
    }

    pub fn mix(&self, fragment: usize) {
        let Some(mix) = &self.kernels.mix else { return };
        let mut encoder = self.encoder();
        self.dispatch(&mut encoder, mix, fragment, |tensor| {
            tensor.mixing.as_ref().unwrap_or(&tensor.packing)
        });
        self.queue.submit([encoder.finish()]);
    }

    pub fn kept(&self) -> Result<Vec<f32>, Error> {
        let bytes = 4 * self.blocks.all_kept(self.wire) as u64;
        if bytes == 0 {
            return Ok(vec![]);
        }
        let kept = Part { buffer: &self.buffers.kept, offset: 0, bytes };
        Ok(bytemuck::pod_collect_to_vec(&self.back(self.encoder(), &[kept])?))
    }

    pub fn keep(&mut self, kept: &[f32]) {
        if !kept.is_empty() {
            self.queue.write_buffer(&self.buffers.kept, 0, bytemuck::cast_slice(kept));
        }
    }

    fn packed(&self, fragment: usize) -> Part<'_> {
        let (blocks, each) = (self.blocks.blocks(fragment), self.wire.block_bytes());
        let (offset, bytes) = ((blocks.start * each) as u64, (blocks.len() * each) as u64);
        Part { buffer: &self.buffers.packed, offset, bytes }
    }

    fn broken(&self) -> Part<'_> {
        Part { buffer: &self.buffers.broken, offset: 0, bytes: 4 }
    }

    fn kept_bytes(&self, fragment: usize) -> Range<u64> {
        let Range { start, end } = self.blocks.kept(self.wire, fragment);
        4 * start as u64..4 * end as u64
    }

    fn of(&self, fragment: usize) -> &[Bound] {
        &self.tensors[self.blocks.indices(fragment)]
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    fn look(&self, encoder: &mut wgpu::CommandEncoder, fragment: usize) {
        encoder.clear_buffer(&self.buffers.broken, 0, None);
        self.dispatch(encoder, &self.kernels.look, fragment, |tensor| &tensor.packing);
    }

    fn dispatch(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        pipeline: &wgpu::ComputePipeline,
        fragment: usize,
        group: impl Fn(&Bound) -> &wgpu::BindGroup,
    ) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(pipeline);
        for (index, tensor) in self.blocks.indices(fragment).zip(self.of(fragment)) {
            pass.set_bind_group(0, group(tensor), &[(index * STRIDE) as u32]);
            pass.dispatch_workgroups(tensor.workgroups.0, tensor.workgroups.1, 1);
        }
    }

    /// Submits, and waits for some bytes.
    fn back(&self, encoder: wgpu::CommandEncoder, parts: &[Part<'_>]) -> Result<Vec<u8>, Error> {
        if parts.iter().all(|part| part.bytes == 0) {
            self.queue.submit([encoder.finish()]);
            return Ok(vec![]);
        }
        Reading::begin(&self.device, &self.queue, encoder, parts)?.finish()
    }
}

/// Whether the word at the end, or alone, says that all is finite.
pub(crate) fn is_fine(bytes: &[u8]) -> bool {
    bytes[bytes.len() - 4..].iter().all(|byte| *byte == 0)
}

/// Refuses weights that are exchanged with the slow ones, as reading them back does.
fn check_readable(optimizer: &Optimizer, field: Field<'_>) -> Result<(), Error> {
    if let Some((name, _)) = optimizer.tensors().next() {
        optimizer.readable(field, name)?;
    }
    Ok(())
}

/// Where all tensors lie; none where a kernel cannot bind one, or has another format there.
fn places(optimizer: &Optimizer, settings: &Settings, blocks: &Blocks) -> Result<Option<Vec<Place>>, Error> {
    let (field, has_base) = match settings.mode {
        Mode::Local => (Field::Weights, settings.wire.sends_differences()),
        Mode::Gradients => (Field::Gradients, false),
    };
    let mut places = Vec::new();
    for fragment in 0..blocks.fragments() {
        let start = blocks.blocks(fragment).start;
        for tensor in blocks.fragment(fragment) {
            let slice = |field| -> Result<Option<Slice>, Error> {
                let mut slices = optimizer.buffers(field, &tensor.name)?;
                let bytes = 4 * tensor.len as u64;
                let slice = slices.pop().filter(|slice| slices.is_empty() && slice.size == bytes);
                // A borrowed one may lie anywhere, and lack usages.
                Ok(slice.filter(|slice| slice.offset % 256 == 0 && slice.buffer.usage().contains(USAGE)))
            };
            let base = if has_base { slice(Field::SlowWeights)? } else { None };
            // What is mixed would have to be copied to a copy in another width.
            let is_copied = settings.mixes() && optimizer.buffers(Field::HalfWeights, &tensor.name).is_ok();
            match slice(field)? {
                Some(values) if base.is_some() == has_base && !is_copied => {
                    places.push(Place { values, base, tensor: tensor.clone(), first: tensor.first - start });
                }
                _ => return Ok(None),
            }
        }
    }
    Ok(Some(places))
}

/// What the optimizer's own buffers have.
const USAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// What is bound for a tensor.
fn bound(
    device: &wgpu::Device,
    layouts: &Layouts,
    place: &Place,
    words: &wgpu::Buffer,
    Buffers { packed, kept, broken, own, .. }: &Buffers,
) -> Bound {
    let (values, base) = (place.values.binding(), place.base.as_ref().map(Slice::binding));
    let word = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer: words,
        offset: 0,
        size: wgpu::BufferSize::new(16),
    });
    // Where there is no base something must be bound all the same.
    let of_packing = [
        word.clone(),
        values.clone(),
        base.clone().unwrap_or_else(|| values.clone()),
        packed.as_entire_binding(),
        kept.as_entire_binding(),
        broken.as_entire_binding(),
    ];
    let base = base.unwrap_or_else(|| broken.as_entire_binding());
    let of_unpacking = [word.clone(), values.clone(), base, packed.as_entire_binding()];
    let of_mixing = [word, values, own.as_entire_binding()];
    let count = place.tensor.blocks();
    Bound {
        values: place.values.clone(),
        packing: bind(device, &layouts.pack, &of_packing),
        unpacking: bind(device, &layouts.unpack, &of_unpacking),
        mixing: layouts.mix.as_ref().map(|layout| bind(device, layout, &of_mixing)),
        workgroups: (count.min(COLUMNS) as u32, count.div_ceil(COLUMNS) as u32),
    }
}

/// What the kernels read of each tensor.
fn words(device: &wgpu::Device, queue: &wgpu::Queue, places: &[Place]) -> wgpu::Buffer {
    let mut bytes = vec![0u8; STRIDE * places.len().max(1)];
    for (Place { tensor, first, .. }, bytes) in places.iter().zip(bytes.chunks_mut(STRIDE)) {
        let columns = tensor.blocks().min(COLUMNS);
        let words = [tensor.len, tensor.first, columns, *first].map(|word| word as u32);
        bytes[..16].copy_from_slice(bytemuck::cast_slice(&words));
    }
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("tensors"),
        size: bytes.len() as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    queue.write_buffer(&buffer, 0, &bytes);
    buffer
}
