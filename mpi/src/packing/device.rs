//! Packing on the GPU: kernels that read the optimizer's own buffers, a dispatch a tensor.

use lookahead_wgpu::{Field, Optimizer, Slice, wgpu};

use crate::{
    blocks::Blocks,
    error::Error,
    settings::{Mode, Settings},
    wire::{BLOCK, Wire},
};

/// Bytes from one tensor's words to the next's.
const STRIDE: usize = 256;
/// Workgroups in x.
const COLUMNS: usize = 32_768;

pub(crate) struct Device {
    device: wgpu::Device,
    pub queue: wgpu::Queue,
    look: wgpu::ComputePipeline,
    pack: wgpu::ComputePipeline,
    unpack: wgpu::ComputePipeline,
    tensors: Vec<Tensor>,
    packed_bytes: u64,
    kept_len: usize,
    buffers: Buffers,
}

/// What all tensors have together.
struct Buffers {
    packed: wgpu::Buffer,
    kept: wgpu::Buffer,
    /// One word: whether a value is not finite.
    broken: wgpu::Buffer,
}

impl Buffers {
    fn new(device: &wgpu::Device, packed: u64, kept: u64) -> Self {
        let storage = |label, size: u64| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                // A binding of no bytes is not allowed.
                size: size.max(4),
                usage: USAGE,
                mapped_at_creation: false,
            })
        };
        Self { packed: storage("packed", packed), kept: storage("kept", kept), broken: storage("broken", 4) }
    }
}

/// What is dispatched for a tensor.
struct Tensor {
    packing: wgpu::BindGroup,
    unpacking: wgpu::BindGroup,
    workgroups: (u32, u32),
}

/// Where a tensor's values lie, and what they are the difference to.
struct Place {
    values: Slice,
    base: Option<Slice>,
    len: usize,
}

impl Device {
    /// None where it cannot be done here.
    pub fn new(
        optimizer: &Optimizer,
        settings: &Settings,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
    ) -> Result<Option<Self>, Error> {
        let (wire, blocks) = (settings.wire, Blocks::of(optimizer));
        let Some(places) = places(optimizer, settings, &blocks)? else { return Ok(None) };
        let packed_bytes = (blocks.count() * wire.block_bytes()) as u64;
        let kept_len = blocks.kept(wire);
        let most = packed_bytes.max(4 * kept_len as u64);
        let limits = device.limits();
        if most > limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)
            || limits.min_uniform_buffer_offset_alignment as usize > STRIDE
        {
            return Ok(None);
        }
        let make = || Self::make(device, queue, wire, &places, packed_bytes, kept_len);
        Ok(Some(caught(device, "making what packs values", make)?))
    }

    fn make(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        wire: Wire,
        places: &[Place],
        packed_bytes: u64,
        kept_len: usize,
    ) -> Self {
        let buffers = Buffers::new(device, packed_bytes, 4 * kept_len as u64);
        let differs = places.iter().any(|place| place.base.is_some());
        let layouts = [layout(device, &PACK), layout(device, &UNPACK)];
        let texts = [include_str!("pack.wgsl"), include_str!("unpack.wgsl")];
        let [packing, unpacking] = texts.map(|text| module(device, wire, differs, text));
        let words = words(device, queue, places);
        Self {
            look: pipeline(device, &layouts[0], &packing, "look"),
            pack: pipeline(device, &layouts[0], &packing, "pack"),
            unpack: pipeline(device, &layouts[1], &unpacking, "unpack"),
            tensors: places.iter().map(|place| tensor(device, &layouts, place, &words, &buffers)).collect(),
            device: device.clone(),
            queue: queue.clone(),
            packed_bytes,
            kept_len,
            buffers,
        }
    }

    /// Whether all that is to be sent is finite. It lies where the kernels bind it.
    pub fn read(&mut self, optimizer: &Optimizer, field: Field<'_>) -> Result<bool, Error> {
        if let Some((name, _)) = optimizer.tensors().next() {
            // Refuses weights that are exchanged with the slow ones, as reading them back does.
            optimizer.readable(field, name)?;
        }
        let mut encoder = self.encoder();
        encoder.clear_buffer(&self.buffers.broken, 0, None);
        self.dispatch(&mut encoder, &self.look, |tensor| &tensor.packing);
        let bytes = self.back(encoder, &self.buffers.broken, 4)?;
        Ok(bytes.iter().all(|byte| *byte == 0))
    }

    pub fn pack(&mut self) -> Result<Vec<u8>, Error> {
        let mut encoder = self.encoder();
        self.dispatch(&mut encoder, &self.pack, |tensor| &tensor.packing);
        self.back(encoder, &self.buffers.packed, self.packed_bytes)
    }

    /// Writes what the mean stands for where the values were.
    pub fn write(&self, mean: &[u8]) {
        self.queue.write_buffer(&self.buffers.packed, 0, mean);
        let mut encoder = self.encoder();
        self.dispatch(&mut encoder, &self.unpack, |tensor| &tensor.unpacking);
        self.queue.submit([encoder.finish()]);
    }

    pub fn kept(&self) -> Result<Vec<f32>, Error> {
        if self.kept_len == 0 {
            return Ok(vec![]);
        }
        let bytes = self.back(self.encoder(), &self.buffers.kept, 4 * self.kept_len as u64)?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    pub fn keep(&mut self, kept: &[f32]) {
        if !kept.is_empty() {
            self.queue.write_buffer(&self.buffers.kept, 0, bytemuck::cast_slice(kept));
        }
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    fn dispatch(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        pipeline: &wgpu::ComputePipeline,
        group: impl Fn(&Tensor) -> &wgpu::BindGroup,
    ) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(pipeline);
        for (index, tensor) in self.tensors.iter().enumerate() {
            pass.set_bind_group(0, group(tensor), &[(index * STRIDE) as u32]);
            pass.dispatch_workgroups(tensor.workgroups.0, tensor.workgroups.1, 1);
        }
    }

    /// Submits, and waits for some bytes.
    fn back(
        &self,
        mut encoder: wgpu::CommandEncoder,
        source: &wgpu::Buffer,
        bytes: u64,
    ) -> Result<Vec<u8>, Error> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let staging = caught(&self.device, "reading packed values back", || {
            let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("packed, to be read"),
                size: bytes,
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            });
            encoder.copy_buffer_to_buffer(source, 0, &staging, 0, bytes);
            encoder.map_buffer_on_submit(&staging, wgpu::MapMode::Read, .., move |result| {
                // Nobody listens any more where the wait has failed.
                let _ = sender.send(result);
            });
            self.queue.submit([encoder.finish()]);
            staging
        })?;
        self.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|problem| lost(&problem))?;
        receiver.recv().map_err(|problem| lost(&problem))?.map_err(|problem| lost(&problem))?;
        let view = staging.get_mapped_range(..).map_err(|problem| lost(&problem))?;
        Ok(view.to_vec())
    }
}

/// What `make` makes, or what the device said against it, on which wgpu would panic.
fn caught<T>(device: &wgpu::Device, doing: &'static str, make: impl FnOnce() -> T) -> Result<T, Error> {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let made = make();
    let (validation, memory) = (validation.pop(), memory.pop());
    let (doing, refused) = (doing.to_owned(), |problem: wgpu::Error| problem.to_string());
    match (pollster::block_on(memory), pollster::block_on(validation)) {
        (None, None) => Ok(made),
        (Some(problem), _) => {
            Err(lookahead_wgpu::Error::OutOfMemory { doing, message: refused(problem) }.into())
        }
        (None, Some(problem)) => {
            Err(lookahead_wgpu::Error::Device { doing, message: refused(problem) }.into())
        }
    }
}

fn lost(problem: &dyn std::fmt::Display) -> Error {
    let (doing, message) = ("reading packed values back".to_owned(), problem.to_string());
    lookahead_wgpu::Error::DeviceLost { doing, message }.into()
}

/// Where all tensors lie; none where a kernel cannot bind one, or has another format there.
fn places(optimizer: &Optimizer, settings: &Settings, blocks: &Blocks) -> Result<Option<Vec<Place>>, Error> {
    let (field, has_base) = match settings.mode {
        Mode::Local => (Field::Weights, settings.wire.sends_differences()),
        Mode::Gradients => (Field::Gradients, false),
    };
    let mut places = Vec::new();
    for (name, len) in &blocks.tensors {
        let slice = |field| -> Result<Option<Slice>, Error> {
            let mut slices = optimizer.buffers(field, name)?;
            let slice = slices.pop().filter(|slice| slices.is_empty() && slice.size == 4 * *len as u64);
            // A borrowed one may lie anywhere, and lack usages.
            Ok(slice.filter(|slice| slice.offset % 256 == 0 && slice.buffer.usage().contains(USAGE)))
        };
        let base = if has_base { slice(Field::SlowWeights)? } else { None };
        match slice(field)? {
            Some(values) if base.is_some() == has_base => places.push(Place { values, base, len: *len }),
            _ => return Ok(None),
        }
    }
    Ok(Some(places))
}

/// What the optimizer's own buffers have.
const USAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// What is bound for a tensor.
fn tensor(
    device: &wgpu::Device,
    [packing, unpacking]: &[wgpu::BindGroupLayout; 2],
    place: &Place,
    words: &wgpu::Buffer,
    Buffers { packed, kept, broken }: &Buffers,
) -> Tensor {
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
    let of_unpacking = [word, values, base, packed.as_entire_binding()];
    let count = place.len.div_ceil(BLOCK);
    Tensor {
        packing: bind(device, packing, &of_packing),
        unpacking: bind(device, unpacking, &of_unpacking),
        workgroups: (count.min(COLUMNS) as u32, count.div_ceil(COLUMNS) as u32),
    }
}

/// What the kernels read of each tensor.
fn words(device: &wgpu::Device, queue: &wgpu::Queue, places: &[Place]) -> wgpu::Buffer {
    let mut bytes = vec![0u8; STRIDE * places.len()];
    let mut first = 0;
    for (place, bytes) in places.iter().zip(bytes.chunks_mut(STRIDE)) {
        let count = place.len.div_ceil(BLOCK);
        let words = [place.len as u32, first as u32, count.min(COLUMNS) as u32, 0];
        bytes[..16].copy_from_slice(bytemuck::cast_slice(&words));
        first += count;
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

const UNIFORM: wgpu::BufferBindingType = wgpu::BufferBindingType::Uniform;
const READ: wgpu::BufferBindingType = wgpu::BufferBindingType::Storage { read_only: true };
const WRITE: wgpu::BufferBindingType = wgpu::BufferBindingType::Storage { read_only: false };
/// The bindings of the kernels `look` and `pack`.
const PACK: [wgpu::BufferBindingType; 6] = [UNIFORM, READ, READ, WRITE, WRITE, WRITE];
/// Of `unpack`.
const UNPACK: [wgpu::BufferBindingType; 4] = [UNIFORM, WRITE, READ, READ];

fn layout(device: &wgpu::Device, bindings: &[wgpu::BufferBindingType]) -> wgpu::BindGroupLayout {
    let entry = |(binding, ty): (u32, &wgpu::BufferBindingType)| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty: *ty, has_dynamic_offset: *ty == UNIFORM, min_binding_size: None },
        count: None,
    };
    let entries: Vec<_> = (0..).zip(bindings).map(entry).collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}

fn bind(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    resources: &[wgpu::BindingResource<'_>],
) -> wgpu::BindGroup {
    let entries: Vec<_> = (0..)
        .zip(resources)
        .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource: resource.clone() })
        .collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
}

fn module(device: &wgpu::Device, wire: Wire, differs: bool, text: &str) -> wgpu::ShaderModule {
    let format = match wire {
        Wire::F32 => 0,
        Wire::Bf16 => 1,
        Wire::F16 => 2,
        Wire::Int8 => 3,
    };
    let text = format!("const FORMAT = {format}u;\nconst DIFFERS = {differs};\n{text}");
    device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("packing"),
        source: wgpu::ShaderSource::Wgsl(text.into()),
    })
}

fn pipeline(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    module: &wgpu::ShaderModule,
    entry_point: &str,
) -> wgpu::ComputePipeline {
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(entry_point),
        layout: Some(&layout),
        module,
        entry_point: Some(entry_point),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    })
}
