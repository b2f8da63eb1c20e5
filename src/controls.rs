//! The control ring: what the host tells each step, put where the step's own commands find it.
//!
//! A `Queue::write_buffer` lands before the next submit, whatever was recorded when. So every recorded
//! step has a slot of its own, which nothing overwrites until the device is done with it: a thousand
//! steps in one encoder read a thousand slots. An encoder that was never submitted gives its slots back when it is
//! dropped.

use std::sync::Arc;

use futures::FutureExt;

pub(crate) use crate::layout::params::{BLOCK, Control, SLOT};

use crate::{
    error::Error,
    gpu,
    kernels::Binding,
    memory::{Held, Tally},
    pipelines::Kernels,
    rules::MAX_HYPER,
};

/// Slots in a chunk, where steps do not need more at once.
const SLOTS: u32 = 256;

/// How many full chunks are kept, to be used again. Beyond them the oldest is dropped, and wgpu frees it with the last
/// encoder that uses it.
const KEPT: usize = 2;

/// One chunk of the ring.
struct Chunk {
    buffer: wgpu::Buffer,
    bind_group: wgpu::BindGroup,
    next: u32,
    /// Its bytes. Every encoder has a share until the device is done with it or it is dropped unsubmitted.
    held: Arc<Held>,
}

impl Chunk {
    fn is_free(&self) -> bool {
        Arc::strong_count(&self.held) == 1
    }
}

pub(crate) struct ControlRing {
    device: wgpu::Device,
    pub layout: wgpu::BindGroupLayout,
    tally: Tally,
    slots: u32,
    current: Chunk,
    /// Full ones, the oldest first.
    full: Vec<Chunk>,
    /// The slots of the step at hand.
    bytes: Vec<u8>,
    hyper: Vec<f32>,
}

impl ControlRing {
    /// A ring for steps of up to `groups` slots.
    pub fn new(device: &wgpu::Device, kernels: &Kernels, groups: usize, tally: Tally) -> Result<Self, Error> {
        let layout = kernels.layout(&[(0, Binding::DynamicUniform), (1, Binding::DynamicUniform)]);
        let offered = device.limits().max_buffer_size;
        let needed = (2 * groups * SLOT) as u64;
        if needed > offered {
            let purpose = format!("the settings of {groups} groups");
            return Err(Error::Limit { limit: "max_buffer_size", needed, offered, purpose });
        }
        // A step of an adaptive sync takes two a group.
        let slots =
            (SLOTS.max(2 * groups as u32)).min((offered / SLOT as u64).min(u64::from(u32::MAX)) as u32);
        let current = chunk(device, &layout, slots, &tally)?;
        Ok(Self {
            device: device.clone(),
            layout,
            tally,
            slots,
            current,
            full: vec![],
            bytes: vec![],
            hyper: vec![],
        })
    }

    /// Begins the slots of a step.
    pub fn begin(&mut self) {
        self.bytes.clear();
    }

    /// How many slots the step has so far.
    pub fn len(&self) -> usize {
        self.bytes.len() / SLOT
    }

    /// Adds a slot; `hyper` pushes the members of the group's `Hyper`.
    pub fn push(
        &mut self,
        control: &Control,
        hyper: impl FnOnce(&mut Vec<f32>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.hyper.clear();
        hyper(&mut self.hyper)?;
        self.hyper.resize(MAX_HYPER, 0.0);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytemuck::bytes_of(control));
        self.bytes.resize(start + BLOCK, 0);
        self.bytes.extend_from_slice(bytemuck::cast_slice(&self.hyper));
        Ok(())
    }

    /// Writes the slots, and gives the bind group and the first slot's offset in it. `tables`: those that the step
    /// binds, which live as long as the slots.
    pub fn write(
        &mut self,
        queue: &wgpu::Queue,
        encoder: &wgpu::CommandEncoder,
        tables: Arc<Held>,
    ) -> Result<(wgpu::BindGroup, u32), Error> {
        let count = (self.bytes.len() / SLOT) as u32;
        if self.current.next + count > self.slots {
            self.turn()?;
        }
        let current = &mut self.current;
        let offset = current.next * SLOT as u32;
        queue.write_buffer(&current.buffer, u64::from(offset), &self.bytes);
        current.next += count;
        let held = (current.held.clone(), tables);
        // Where the encoder is never submitted, it drops them with the call.
        encoder.on_submitted_work_done(move || drop(held));
        Ok((current.bind_group.clone(), offset))
    }

    /// Goes on to a chunk that the device no longer reads, or to a new one.
    fn turn(&mut self) -> Result<(), Error> {
        let next = match self.full.iter().position(Chunk::is_free) {
            Some(index) => Chunk { next: 0, ..self.full.remove(index) },
            None => chunk(&self.device, &self.layout, self.slots, &self.tally)?,
        };
        self.full.push(std::mem::replace(&mut self.current, next));
        if self.full.len() > KEPT {
            self.full.remove(0);
        }
        Ok(())
    }
}

/// Both blocks of the slots in a buffer.
pub(crate) fn slot_entries(buffer: &wgpu::Buffer) -> [wgpu::BindGroupEntry<'_>; 2] {
    [0, 1].map(|binding: u32| wgpu::BindGroupEntry {
        binding,
        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer,
            offset: u64::from(binding) * BLOCK as u64,
            size: wgpu::BufferSize::new(BLOCK as u64),
        }),
    })
}

/// The offset of slot `index` after the step's first.
pub(crate) fn slot_offset(first: u32, index: usize) -> [u32; 2] {
    [first + (index * SLOT) as u32; 2]
}

fn chunk(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    slots: u32,
    tally: &Tally,
) -> Result<Chunk, Error> {
    let (chunk, problem) = gpu::scoped(device, || {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("lookahead controls"),
            size: u64::from(slots) * SLOT as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("lookahead controls"),
            layout,
            entries: &slot_entries(&buffer),
        });
        let held = Arc::new(tally.hold(buffer.size()));
        Chunk { buffer, bind_group, next: 0, held }
    });
    // Off the web the answer is there at once; on the web a failure shows at the submit.
    match problem.now_or_never() {
        Some(Some(problem)) => Err(gpu::error(device, &problem, "the control buffer")),
        // Writing to a buffer of a lost device is a panic of wgpu's.
        _ => gpu::check_alive(device, "making the control buffer").map(|()| chunk),
    }
}
