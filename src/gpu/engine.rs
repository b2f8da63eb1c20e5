//! The engine on wgpu: makes a program's objects on a device, but for its pipelines, and plays recordings.

use std::sync::{Arc, OnceLock};

#[cfg(target_arch = "wasm32")]
use super::web::fill;
use super::{
    download::Download,
    faults::{check_alive, check_alive_now, refuse, refuse_now},
    pipelines::{Make, Pipelines},
    ring::{Ring, Taken},
    scope::scoped,
    tally::{Held, Tally},
    waiting::Waiter,
};
use crate::{
    engine::{self, Engine, ahead::Ahead, slice::Slice, transfer::BATCH},
    error::Error,
    kernels::{Access, Binding},
    layout::params::SLOT,
    plan::{
        placement::Placement,
        program::{BindGroup, BindGroupLayout, Bound, Buffer, Contents, Id, Owner, Program, Usage, planes},
        recording::{Bind, Recording},
    },
};

/// The objects of one optimizer on wgpu.
pub struct Wgpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// What waits for the device when values are read back.
    waiter: Waiter,
    /// What of the memory comes and goes.
    tally: Tally,
    layouts: Vec<wgpu::BindGroupLayout>,
    buffers: Vec<wgpu::Buffer>,
    /// Those that depend on where weights and gradients lie are made when that is known.
    kernels: Vec<OnceLock<wgpu::ComputePipeline>>,
    pipelines: Pipelines,
    groups: Vec<wgpu::BindGroup>,
    /// The layout of what the host tells.
    control: Id<BindGroupLayout>,
    slots: u32,
    ring: Ring<ToldChunk>,
    ahead: Ahead,
}

impl std::fmt::Debug for Wgpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wgpu").field("device", &self.device).finish_non_exhaustive()
    }
}

/// A chunk of the ring.
struct ToldChunk {
    buffer: wgpu::Buffer,
    group: wgpu::BindGroup,
}

/// The objects of one placement.
#[derive(Debug)]
pub struct Placed {
    groups: Vec<wgpu::BindGroup>,
    /// Bytes of the tables.
    held: Arc<Held>,
}

impl Wgpu {
    /// Makes a program, with the pipelines that are there already. Kernels over weights come with a placement.
    ///
    /// # Errors
    ///
    /// [`Error::Shader`] where the device refuses a module, [`Error::Device`], [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`].
    pub async fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        program: &Program,
        pipelines: &Pipelines,
    ) -> Result<Self, Error> {
        let control = program.control;
        let (layouts, problem) = scoped(device, || {
            program.layouts.iter().map(|layout| bind_group_layout(device, layout)).collect::<Vec<_>>()
        });
        refuse(device, problem, "the bind group layouts").await?;
        let tally = Tally::default();
        let ring = Ring::new(program.slots, control_chunk(device, &layouts, control, program.slots, &tally)?);
        let mut engine = Self {
            device: device.clone(),
            queue: queue.clone(),
            waiter: Waiter::default(),
            tally,
            layouts,
            buffers: vec![],
            kernels: program.kernels.iter().map(|_| OnceLock::new()).collect(),
            pipelines: pipelines.clone(),
            groups: vec![],
            control,
            slots: program.slots,
            ring,
            ahead: Ahead::default(),
        };
        engine.make_kernels(program, |access| access.is_none()).await?;
        let ((buffers, groups), problem) = scoped(device, || {
            let buffers: Vec<_> = program.buffers.iter().map(|spec| buffer(device, queue, spec)).collect();
            let group = |group| bind_group(device, &engine.layouts, group, &buffers, &[], &[]);
            let groups: Vec<_> = program.groups.iter().map(group).collect();
            (buffers, groups)
        });
        refuse(device, problem, "the optimizer's buffers").await?;
        (engine.buffers, engine.groups) = (buffers, groups);
        check_alive_now(device, "building the optimizer").await?;
        Ok(engine)
    }

    /// Makes the kernels of a program that are wanted by their access, as far as they are not there yet.
    async fn make_kernels(
        &self,
        program: &Program,
        wanted: impl Fn(Option<Access>) -> bool,
    ) -> Result<(), Error> {
        let kernels = program.kernels.iter().zip(&self.kernels);
        let (kernels, places): (Vec<_>, Vec<_>) =
            kernels.filter(|(kernel, made)| made.get().is_none() && wanted(kernel.source.access)).unzip();
        let make = Make { device: &self.device, layouts: &self.layouts, program };
        for (place, made) in places.into_iter().zip(self.pipelines.make(make, &kernels).await?) {
            place.get_or_init(|| made);
        }
        Ok(())
    }

    /// Writes what the host tells, where it was not foreseen: the bind group that holds it, and its first slot there.
    fn write_controls(
        &mut self,
        recording: &Recording,
        placed: &Placed,
        encoder: &wgpu::CommandEncoder,
        foresee: impl FnOnce((u32, u32), &mut Vec<u8>),
    ) -> Result<Option<(wgpu::BindGroup, u32)>, Error> {
        if recording.controls.is_empty() {
            return Ok(None);
        }
        let Self { device, queue, layouts, control, slots, tally, ring, ahead, .. } = self;
        let make = || control_chunk(device, layouts, *control, *slots, tally);
        let Taken { chunk, first, behind, held } = ring.take(recording.control_slots(), make)?;
        if !ahead.holds(first, &recording.controls) {
            let foresee = |steps, words: &mut Vec<u8>| foresee((steps, behind), words);
            let words = ahead.renew(first, &recording.controls, foresee);
            queue.write_buffer(&chunk.buffer, u64::from(first) * SLOT as u64, words);
        }
        let held = (held, placed.held.clone());
        // Where the encoder is never submitted, it drops them with the call.
        encoder.on_submitted_work_done(move || drop(held));
        Ok(Some((chunk.group.clone(), first)))
    }

    /// Records that words are written to a buffer.
    fn copy_words(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        to: Id<Buffer>,
        offset: u64,
        words: &[u32],
    ) -> Result<(), Error> {
        let ((), problem) = scoped(&self.device, || {
            let usage = wgpu::BufferUsages::COPY_SRC;
            let from = filled(&self.device, "lookahead new guard tables", words, usage);
            encoder.copy_buffer_to_buffer(&from, 0, self.buffer(to), offset, from.size());
        });
        refuse_now(&self.device, problem, "the guard's new tables")
    }
}

impl Engine for Wgpu {
    type Buffer = wgpu::Buffer;
    type Encoder = wgpu::CommandEncoder;
    type Placed = Placed;
    type Shared = Pipelines;
    type Reading = Reading;

    fn buffer(&self, id: Id<Buffer>) -> &wgpu::Buffer {
        &self.buffers[id.index()]
    }

    async fn place(
        &self,
        program: &Program,
        placement: &Placement,
        given: &[wgpu::Buffer],
        what: &'static str,
    ) -> Result<Placed, Error> {
        let is_there = |access| placement.runs.iter().any(|run| Some(run.access) == access);
        self.make_kernels(program, is_there).await?;
        let held = Arc::new(self.tally.hold(placement.bytes()));
        let (groups, problem) = scoped(&self.device, || {
            let buffer = |spec| buffer(&self.device, &self.queue, spec);
            let tables: Vec<_> = placement.buffers.iter().map(buffer).collect();
            let group = |group| bind_group(&self.device, &self.layouts, group, &self.buffers, &tables, given);
            placement.groups.iter().map(group).collect()
        });
        refuse(&self.device, problem, what).await?;
        Ok(Placed { groups, held })
    }

    fn play(
        &mut self,
        recording: &Recording,
        placed: &Placed,
        encoder: &mut wgpu::CommandEncoder,
        foresee: impl FnOnce((u32, u32), &mut Vec<u8>),
    ) -> Result<(), Error> {
        let Some(pass) = recording.pass else { return Ok(()) };
        for write in &recording.writes {
            self.copy_words(encoder, write.buffer, write.offset, &write.words)?;
        }
        let controls = self.write_controls(recording, placed, encoder, foresee)?;
        for buffer in &recording.clears {
            encoder.clear_buffer(self.buffer(*buffer), 0, None);
        }
        let mut pass = encoder
            .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(pass), timestamp_writes: None });
        for dispatch in &recording.dispatches {
            let Some(kernel) = self.kernels[dispatch.kernel.index()].get() else {
                // A placement comes with its kernels; without one a step must not pass for a step.
                let message = "a kernel was not made for where the weights lie".to_owned();
                return Err(Error::Device { doing: "recording".to_owned(), message });
            };
            pass.set_pipeline(kernel);
            for (index, bind) in (0..).zip(dispatch.binds) {
                match bind {
                    Bind::Unused => {}
                    Bind::Control(slot) => {
                        if let Some((group, first)) = &controls {
                            pass.set_bind_group(index, group, &[(first + slot) * SLOT as u32; 2]);
                        }
                    }
                    Bind::Decided(group, slot) => {
                        let offsets = [slot * SLOT as u32; 2];
                        pass.set_bind_group(index, &self.groups[group.index()], &offsets);
                    }
                    Bind::Program(group) => pass.set_bind_group(index, &self.groups[group.index()], &[]),
                    Bind::Placement(group) => pass.set_bind_group(index, &placed.groups[group.index()], &[]),
                }
            }
            let (x, y) = dispatch.workgroups;
            pass.dispatch_workgroups(x, y, 1);
        }
        Ok(())
    }

    fn write(&self, slices: &[Slice<wgpu::Buffer>], bytes: &[u8], doing: &str) -> Result<(), Error> {
        let mut rest = bytes;
        let ((), problem) = scoped(&self.device, || {
            for slice in slices {
                let (head, tail) = rest.split_at((slice.size as usize).min(rest.len()));
                self.queue.write_buffer(&slice.buffer, slice.offset, head);
                rest = tail;
            }
        });
        refuse_now(&self.device, problem, doing)
    }

    fn unpack(&self, bytes: &[u8], slices: &[Slice<wgpu::Buffer>]) -> Result<(), Error> {
        // Writing to a buffer of a lost device is a panic of wgpu's.
        check_alive(&self.device, "writing values")?;
        let held = self.tally.hold(bytes.len() as u64);
        let ((), problem) = scoped(&self.device, || {
            let packed = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("lookahead upload"),
                size: bytes.len() as u64,
                usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            self.queue.write_buffer(&packed, 0, bytes);
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut at = 0;
            for slice in slices {
                encoder.copy_buffer_to_buffer(&packed, at, &slice.buffer, slice.offset, slice.size);
                at += slice.size;
            }
            encoder.on_submitted_work_done(move || drop(held));
            self.queue.submit([encoder.finish()]);
        });
        refuse_now(&self.device, problem, "writing values")
    }

    fn copy_back(&self, batches: &[Vec<Slice<wgpu::Buffer>>]) -> Reading {
        let held = self.tally.hold(batches.iter().flatten().map(|slice| slice.size).sum());
        Box::pin(Download::begin((&self.device, &self.queue), &self.waiter, batches, held).bytes())
    }

    fn batch_limit(&self) -> u64 {
        let limit = BATCH.min(self.device.limits().max_buffer_size);
        limit - limit % wgpu::COPY_BUFFER_ALIGNMENT
    }

    fn held(&self) -> u64 {
        self.tally.bytes()
    }
}

/// Bytes under way.
#[cfg(not(target_arch = "wasm32"))]
type Reading = futures::future::BoxFuture<'static, Result<Vec<u8>, Error>>;
/// The same; JavaScript's promises stay on their thread.
#[cfg(target_arch = "wasm32")]
type Reading = futures::future::LocalBoxFuture<'static, Result<Vec<u8>, Error>>;

impl engine::Buffer for wgpu::Buffer {
    fn bytes(&self) -> u64 {
        self.size()
    }

    fn lacks(&self, usage: engine::Usage) -> Option<String> {
        let needed = match usage {
            engine::Usage::Storage => wgpu::BufferUsages::STORAGE,
            engine::Usage::CopySrc => wgpu::BufferUsages::COPY_SRC,
            engine::Usage::CopyDst => wgpu::BufferUsages::COPY_DST,
        };
        let has = self.usage();
        (!has.contains(needed)).then(|| format!("the buffer lacks the usage {needed:?} (it has {has:?})"))
    }
}

/// A bind group over the buffers of a program, of a placement and of the caller.
fn bind_group(
    device: &wgpu::Device,
    layouts: &[wgpu::BindGroupLayout],
    group: &BindGroup,
    buffers: &[wgpu::Buffer],
    tables: &[wgpu::Buffer],
    given: &[wgpu::Buffer],
) -> wgpu::BindGroup {
    let resource = |bound: &Bound| {
        let buffer = match bound.buffer {
            Owner::Program(id) => &buffers[id.index()],
            Owner::Placement(id) => &tables[id.index()],
            Owner::Caller(number) => &given[number],
        };
        let size = bound.size.and_then(wgpu::BufferSize::new);
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: bound.offset, size })
    };
    let entries: Vec<_> = group
        .entries
        .iter()
        .map(|(binding, bound)| wgpu::BindGroupEntry { binding: *binding, resource: resource(bound) })
        .collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(group.label),
        layout: &layouts[group.layout.index()],
        entries: &entries,
    })
}

fn bind_group_layout(device: &wgpu::Device, layout: &BindGroupLayout) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = layout
        .0
        .iter()
        .map(|&(binding, kind)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: binding_type(kind),
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("lookahead"),
        entries: &entries,
    })
}

fn binding_type(binding: Binding) -> wgpu::BindingType {
    let (ty, has_dynamic_offset) = match binding {
        Binding::Uniform => (wgpu::BufferBindingType::Uniform, false),
        Binding::DynamicUniform => (wgpu::BufferBindingType::Uniform, true),
        Binding::Read => (wgpu::BufferBindingType::Storage { read_only: true }, false),
        Binding::ReadWrite => (wgpu::BufferBindingType::Storage { read_only: false }, false),
    };
    wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None }
}

/// A buffer that holds what it should.
fn buffer(device: &wgpu::Device, queue: &wgpu::Queue, spec: &Buffer) -> wgpu::Buffer {
    let usage = usages(spec.usage);
    match &spec.contents {
        Contents::Words(words) => filled(device, spec.label, words, usage),
        Contents::Zeros => zeros(device, spec.label, spec.size, usage),
        Contents::Planes(values) => {
            let buffer = zeros(device, spec.label, spec.size, usage);
            for (at, values) in planes(spec.size, values) {
                queue.write_buffer(&buffer, at, bytemuck::cast_slice(&values));
            }
            buffer
        }
    }
}

fn usages(usage: Usage) -> wgpu::BufferUsages {
    use wgpu::BufferUsages as Usages;
    let all = [
        (usage.storage, Usages::STORAGE),
        (usage.uniform, Usages::UNIFORM),
        (usage.copy_src, Usages::COPY_SRC),
        (usage.copy_dst, Usages::COPY_DST),
    ];
    all.into_iter().filter(|(has, _)| *has).map(|(_, usage)| usage).collect()
}

fn zeros(device: &wgpu::Device, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size,
        usage,
        mapped_at_creation: false,
    })
}

/// A buffer that holds these words. wgpu's own `create_buffer_init` panics where the device gives none.
#[cfg(not(target_arch = "wasm32"))]
fn filled(device: &wgpu::Device, label: &str, words: &[u32], usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let bytes: &[u8] = bytemuck::cast_slice(words);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes.len() as u64,
        usage,
        mapped_at_creation: true,
    });
    if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
        view.copy_from_slice(bytes);
        drop(view);
        buffer.unmap();
    }
    buffer
}

/// A buffer that holds these words.
#[cfg(target_arch = "wasm32")]
fn filled(device: &wgpu::Device, label: &str, words: &[u32], usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let bytes: &[u8] = bytemuck::cast_slice(words);
    let buffer = zeros(device, label, bytes.len() as u64, usage | wgpu::BufferUsages::COPY_DST);
    fill(device, &buffer, bytes);
    buffer
}

/// A chunk of so many slots, and its bytes.
fn control_chunk(
    device: &wgpu::Device,
    layouts: &[wgpu::BindGroupLayout],
    control: Id<BindGroupLayout>,
    slots: u32,
    tally: &Tally,
) -> Result<(ToldChunk, Held), Error> {
    let (chunk, problem) = scoped(device, || {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = zeros(device, "lookahead controls", u64::from(slots) * SLOT as u64, usage);
        let group = BindGroup::slots("lookahead controls", control, Owner::Caller(0));
        let group = bind_group(device, layouts, &group, &[], &[], std::slice::from_ref(&buffer));
        ToldChunk { buffer, group }
    });
    refuse_now(device, problem, "the control buffer")?;
    // Writing to a buffer of a lost device is a panic of wgpu's.
    check_alive(device, "making the control buffer")?;
    let held = tally.hold(chunk.buffer.size());
    Ok((chunk, held))
}
