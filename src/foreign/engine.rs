//! The engine that tells a device of another language's what to do.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::{
    buffer::{Buffer, bits},
    device::{Device, KernelText, Problem, Recorder, bind, binding},
    ring::{Chunk, Ring, Taken},
};
use crate::{
    engine::{Engine, ahead::Ahead, slice::Slice, transfer::BATCH},
    error::Error,
    kernels::{Access, Binding},
    layout::params::SLOT,
    plan::{
        placement::Placement,
        program::{self, BindGroup, BindGroupLayout, Contents, Id, Owner, Program, Usage, planes},
        recording::{Bind, Recording},
    },
};

/// The objects of one optimizer on a [`Device`].
#[derive(Debug)]
pub struct Foreign<D: Device> {
    device: Rc<D>,
    buffers: Vec<Buffer>,
    groups: Vec<u32>,
    /// Which of the program's kernels are there.
    kernels: RefCell<Vec<bool>>,
    /// What is made from now on is made at once.
    is_built: Cell<bool>,
    /// The layout of what the host tells, and slots in a chunk of the ring.
    control: (Id<BindGroupLayout>, u32),
    ring: Ring,
    ahead: Ahead,
    /// Bytes of the tables of placements.
    tables: Rc<Cell<u64>>,
    batch_limit: u64,
    /// Used again by every call.
    words: Vec<u32>,
}

/// The objects of one placement.
#[derive(Debug)]
pub struct Placed<D: Device> {
    device: Rc<D>,
    groups: Vec<u32>,
    tables: Vec<u32>,
    /// Of the tables, and where they are counted.
    bytes: u64,
    count: Rc<Cell<u64>>,
}

impl<D: Device> Drop for Placed<D> {
    fn drop(&mut self) {
        self.count.update(|all| all - self.bytes);
        self.device.release(&self.groups, &self.tables);
    }
}

impl<D: Device + 'static> Foreign<D> {
    /// Makes a program on a device, which has made nothing yet. At once: without waiting for anything.
    pub(crate) async fn new(
        device: D,
        program: &Program,
        max_buffer_size: u64,
        at_once: bool,
    ) -> Result<Self, Error> {
        for layout in program.layouts.iter() {
            let numbers = layout.0.iter().flat_map(|&(number, kind)| [number, kind_of(kind)]);
            device.layout(&numbers.collect::<Vec<_>>()).map_err(refused("the bind group layouts"))?;
        }
        let made = program.buffers.iter().map(|spec| buffer(&device, spec));
        let buffers = made.collect::<Result<Vec<_>, _>>().map_err(refused("the optimizer's buffers"))?;
        let control = (program.control, program.slots);
        let ring = new_chunk(&device, control).map_err(refused("the control buffer"))?;
        let mut engine = Self {
            device: Rc::new(device),
            buffers,
            groups: vec![],
            kernels: RefCell::new(vec![false; program.kernels.iter().len()]),
            is_built: Cell::new(at_once),
            control,
            ring: Ring::new(program.slots, ring),
            ahead: Ahead::default(),
            tables: Rc::default(),
            batch_limit: BATCH.min(max_buffer_size - max_buffer_size % 4),
            words: vec![],
        };
        engine.make_kernels(program, |access| access.is_none()).await?;
        let groups =
            program.groups.iter().map(|spec| group(&*engine.device, spec, &engine.buffers, &[], &[]));
        engine.groups = groups.collect::<Result<_, _>>().map_err(refused("the optimizer's bind groups"))?;
        Ok(engine)
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// Ends when all that was made so far is fine; from then on nothing is waited for.
    pub(crate) async fn built(&self) -> Result<(), Error> {
        self.is_built.set(true);
        self.device.made().await.map_err(refused("the optimizer's objects"))
    }

    /// Makes the kernels of a program that are wanted by their access, as far as they are not there yet.
    async fn make_kernels(
        &self,
        program: &Program,
        wanted: impl Fn(Option<Access>) -> bool,
    ) -> Result<(), Error> {
        let kernels = program.kernels.iter().enumerate();
        let there = self.kernels.borrow().clone();
        let missing = kernels.filter(|(number, kernel)| !there[*number] && wanted(kernel.source.access));
        let missing: Vec<_> = missing.collect();
        for (number, kernel) in &missing {
            let begun = kernel_begun(&*self.device, program, *number as u32, kernel, self.is_built.get());
            begun.map_err(|problem| shader(program, problem))?;
        }
        if !missing.is_empty() && !self.is_built.get() {
            self.device.made().await.map_err(|problem| shader(program, problem))?;
        }
        for (number, _) in missing {
            self.kernels.borrow_mut()[number] = true;
        }
        Ok(())
    }

    /// Writes what the host tells, where it was not foreseen: the bind group that holds it, and its first slot there.
    fn write_controls(
        &mut self,
        recording: &Recording,
        is_lent: bool,
        foresee: impl FnOnce((u32, u32), &mut Vec<u8>),
    ) -> Result<(u32, u32), Problem> {
        if recording.controls.is_empty() {
            return Ok((0, 0));
        }
        let Self { device, ring, ahead, control, .. } = self;
        let make = || new_chunk(&**device, *control);
        let Taken { chunk, first, behind, gone } = ring.take(recording.control_slots(), is_lent, make)?;
        if let Some(gone) = gone {
            device.release(&[gone.group], &[gone.buffer]);
        }
        if !ahead.holds(first, &recording.controls) {
            let foresee = |steps, words: &mut Vec<u8>| foresee((steps, behind), words);
            let words = ahead.renew(first, &recording.controls, foresee);
            device.write(chunk.buffer, u64::from(first) * SLOT as u64, words)?;
        }
        Ok((chunk.group, first))
    }
}

impl<D: Device + 'static> Engine for Foreign<D> {
    type Buffer = Buffer;
    type Encoder = D::Encoder;
    type Placed = Placed<D>;
    type Shared = ();
    type Reading = futures::future::LocalBoxFuture<'static, Result<Vec<u8>, Error>>;

    fn buffer(&self, id: Id<program::Buffer>) -> &Buffer {
        &self.buffers[id.index()]
    }

    async fn place(
        &self,
        program: &Program,
        placement: &Placement,
        given: &[Buffer],
        what: &'static str,
    ) -> Result<Placed<D>, Error> {
        let is_there = |access| placement.runs.iter().any(|run| Some(run.access) == access);
        self.make_kernels(program, is_there).await?;
        let (device, count) = (Rc::clone(&self.device), Rc::clone(&self.tables));
        self.tables.update(|all| all + placement.bytes());
        // What is there when something is refused is let go again.
        let mut placed = Placed { device, groups: vec![], tables: vec![], bytes: placement.bytes(), count };
        let mut tables = vec![];
        for spec in placement.buffers.iter() {
            let table = buffer(&*self.device, spec).map_err(refused(what))?;
            placed.tables.push(table.number);
            tables.push(table);
        }
        for spec in placement.groups.iter() {
            let made = group(&*self.device, spec, &self.buffers, &tables, given);
            placed.groups.push(made.map_err(refused(what))?);
        }
        Ok(placed)
    }

    fn play(
        &mut self,
        recording: &Recording,
        placed: &Placed<D>,
        encoder: &mut D::Encoder,
        foresee: impl FnOnce((u32, u32), &mut Vec<u8>),
    ) -> Result<(), Error> {
        if recording.pass.is_none() {
            return Ok(());
        }
        for write in &recording.writes {
            let words = encoder.words(self.buffer(write.buffer).number, write.offset, &write.words);
            words.map_err(refused("the guard's new tables"))?;
        }
        let controls = self.write_controls(recording, !encoder.is_own(), foresee);
        let (control, first) = controls.map_err(refused("the control buffer"))?;
        let Self { buffers, groups, words, .. } = self;
        words.clear();
        words.push(recording.clears.len() as u32);
        words.extend(recording.clears.iter().map(|id| buffers[id.index()].number));
        for dispatch in &recording.dispatches {
            let (x, y) = dispatch.workgroups;
            words.extend([dispatch.kernel.index() as u32, x, y]);
            for bound in dispatch.binds {
                words.extend(match bound {
                    Bind::Unused => [bind::NOTHING, 0, 0],
                    Bind::Control(slot) => [bind::AT_OFFSET, control, (first + slot) * SLOT as u32],
                    Bind::Decided(group, slot) => {
                        [bind::AT_OFFSET, groups[group.index()], slot * SLOT as u32]
                    }
                    Bind::Program(group) => [bind::GROUP, groups[group.index()], 0],
                    Bind::Placement(group) => [bind::GROUP, placed.groups[group.index()], 0],
                });
            }
        }
        encoder.play(words).map_err(refused("the step"))
    }

    fn write(&self, slices: &[Slice<Buffer>], bytes: &[u8], doing: &str) -> Result<(), Error> {
        let mut rest = bytes;
        for slice in slices {
            let (head, tail) = rest.split_at((slice.size as usize).min(rest.len()));
            self.device.write(slice.buffer.number, slice.offset, head).map_err(refused(doing))?;
            rest = tail;
        }
        Ok(())
    }

    fn unpack(&self, bytes: &[u8], slices: &[Slice<Buffer>]) -> Result<(), Error> {
        self.device.unpack(bytes, &ranges(slices)).map_err(refused("writing values"))
    }

    fn copy_back(&self, batches: &[Vec<Slice<Buffer>>]) -> Self::Reading {
        let begun: Vec<_> = batches.iter().map(|batch| self.device.read(&ranges(batch))).collect();
        Box::pin(async {
            let mut all = Vec::new();
            for bytes in begun {
                all.extend(bytes.await.map_err(refused("reading values back"))?);
            }
            Ok(all)
        })
    }

    fn batch_limit(&self) -> u64 {
        self.batch_limit
    }

    fn held(&self) -> u64 {
        self.tables.get() + u64::from(self.control.1) * SLOT as u64
    }
}

/// Buffers, offsets and sizes, as a device takes them.
fn ranges(slices: &[Slice<Buffer>]) -> Vec<f64> {
    let range =
        |slice: &Slice<Buffer>| [f64::from(slice.buffer.number), slice.offset as f64, slice.size as f64];
    slices.iter().flat_map(range).collect()
}

fn new_chunk<D: Device>(device: &D, (control, slots): (Id<BindGroupLayout>, u32)) -> Result<Chunk, Problem> {
    let usage = bits::UNIFORM | bits::COPY_DST;
    let size = u64::from(slots) * SLOT as u64;
    let number = device.buffer("lookahead controls", size, usage)?;
    let spec = BindGroup::slots("lookahead controls", control, Owner::Caller(0));
    let group = group(device, &spec, &[], &[], &[Buffer { number, size, usage }])?;
    Ok(Chunk { buffer: number, group })
}

/// A buffer that holds what it should.
fn buffer<D: Device>(device: &D, spec: &program::Buffer) -> Result<Buffer, Problem> {
    let Usage { storage, uniform, copy_src, copy_dst } = spec.usage;
    let is_written = copy_dst || !matches!(spec.contents, Contents::Zeros);
    let all = [
        (storage, bits::STORAGE),
        (uniform, bits::UNIFORM),
        (copy_src, bits::COPY_SRC),
        (is_written, bits::COPY_DST),
    ];
    let usage = all.into_iter().filter(|(has, _)| *has).map(|(_, bit)| bit).sum();
    let number = device.buffer(spec.label, spec.size, usage)?;
    match &spec.contents {
        Contents::Zeros => {}
        Contents::Words(words) => device.write(number, 0, bytemuck::cast_slice(words))?,
        Contents::Planes(values) => {
            for (at, values) in planes(spec.size, values) {
                device.write(number, at, bytemuck::cast_slice(&values))?;
            }
        }
    }
    Ok(Buffer { number, size: spec.size, usage })
}

/// A bind group over the buffers of a program, of a placement and of the caller.
fn group<D: Device>(
    device: &D,
    spec: &BindGroup,
    buffers: &[Buffer],
    tables: &[Buffer],
    given: &[Buffer],
) -> Result<u32, Problem> {
    let mut entries = Vec::with_capacity(4 * spec.entries.len());
    for (binding, bound) in &spec.entries {
        let buffer = match bound.buffer {
            Owner::Program(id) => buffers[id.index()],
            Owner::Placement(id) => tables[id.index()],
            Owner::Caller(at) => given[at],
        };
        let size = bound.size.unwrap_or(buffer.size.saturating_sub(bound.offset));
        entries.extend([f64::from(*binding), f64::from(buffer.number), bound.offset as f64, size as f64]);
    }
    device.group(spec.label, spec.layout.index() as u32, &entries)
}

fn kernel_begun<D: Device>(
    device: &D,
    program: &Program,
    number: u32,
    kernel: &program::Kernel,
    at_once: bool,
) -> Result<(), Problem> {
    let source = &kernel.source;
    let text = KernelText { name: &source.name, wgsl: &source.wgsl, entry: source.entry };
    let layout = |id: &Option<Id<BindGroupLayout>>| id.map_or(u32::MAX, |id| id.index() as u32);
    let layouts: Vec<_> = kernel.layouts.iter().map(layout).collect();
    device.kernel(number, text, &layouts, &kernel.constants(program.shape), at_once)
}

fn kind_of(kind: Binding) -> u32 {
    match kind {
        Binding::Uniform => binding::UNIFORM,
        Binding::DynamicUniform => binding::DYNAMIC_UNIFORM,
        Binding::Read => binding::READ,
        Binding::ReadWrite => binding::READ_WRITE,
    }
}

/// What went wrong as an error.
fn refused(doing: &str) -> impl FnOnce(Problem) -> Error {
    move |problem| problem.during(doing)
}

/// What went wrong with a kernel.
pub(crate) fn shader(program: &Program, problem: Problem) -> Error {
    match problem {
        Problem::Shader { kernel, line, message } => {
            let rule = program.kernels.iter().nth(kernel as usize).map(|kernel| kernel.rule.clone());
            Error::Shader { rule: rule.unwrap_or_default(), line, message }
        }
        problem => refused("the kernels")(problem),
    }
}
