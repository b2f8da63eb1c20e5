//! A device of another language's, as the engine for them sees it: here wgpu's own.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use futures::FutureExt;
use lookahead_wgpu::{
    Limits,
    foreign::{Buffer, Device, KernelText, Problem, Promise, Recorder, bind, binding},
    gpu::Gpu,
    wgpu,
};

/// Objects by number, and those that are made.
#[derive(Debug, Clone)]
pub struct Numbered(Rc<Objects>);

#[derive(Debug)]
struct Objects {
    device: wgpu::Device,
    queue: wgpu::Queue,
    layouts: RefCell<Vec<wgpu::BindGroupLayout>>,
    kernels: RefCell<HashMap<u32, wgpu::ComputePipeline>>,
    groups: RefCell<HashMap<u32, wgpu::BindGroup>>,
    buffers: RefCell<HashMap<u32, wgpu::Buffer>>,
    next: Cell<u32>,
}

impl Numbered {
    pub fn new(gpu: &Gpu) -> Self {
        let (device, queue) = (gpu.device.clone(), gpu.queue.clone());
        let (layouts, next) = Default::default();
        let (kernels, groups, buffers) = Default::default();
        Self(Rc::new(Objects { device, queue, layouts, kernels, groups, buffers, next }))
    }

    pub fn limits(&self) -> Limits {
        Limits::from(&self.0.device.limits())
    }

    /// A buffer of the caller's.
    pub fn adopt(&self, buffer: &wgpu::Buffer) -> Buffer {
        let number = self.put(&self.0.buffers, buffer.clone());
        Buffer { number, size: buffer.size(), usage: buffer.usage().bits() }
    }

    /// How many buffers and bind groups are held.
    pub fn held(&self) -> usize {
        self.0.buffers.borrow().len() + self.0.groups.borrow().len()
    }

    pub fn encoder(&self, is_own: bool) -> Encoder {
        let encoder = self.0.device.create_command_encoder(&Default::default());
        Encoder { device: self.clone(), encoder: RefCell::new(encoder), is_own }
    }

    pub fn submit(&self, encoder: Encoder) {
        self.0.queue.submit([encoder.encoder.into_inner().finish()]);
    }

    fn put<T>(&self, things: &RefCell<HashMap<u32, T>>, thing: T) -> u32 {
        let number = self.0.next.replace(self.0.next.get() + 1);
        things.borrow_mut().insert(number, thing);
        number
    }

    fn of(&self, number: f64) -> wgpu::Buffer {
        self.0.buffers.borrow()[&(number as u32)].clone()
    }

    /// Copies from ranges to a buffer, one after the other, or back.
    fn copy(&self, encoder: &mut wgpu::CommandEncoder, packed: &wgpu::Buffer, ranges: &[f64], back: bool) {
        let mut at = 0;
        for range in ranges.chunks_exact(3) {
            let (buffer, offset, size) = (self.of(range[0]), range[1] as u64, range[2] as u64);
            if back {
                encoder.copy_buffer_to_buffer(packed, at, &buffer, offset, size);
            } else {
                encoder.copy_buffer_to_buffer(&buffer, offset, packed, at, size);
            }
            at += size;
        }
    }
}

pub struct Encoder {
    device: Numbered,
    encoder: RefCell<wgpu::CommandEncoder>,
    is_own: bool,
}

impl Recorder for Encoder {
    fn is_own(&self) -> bool {
        self.is_own
    }

    fn words(&self, buffer: u32, offset: u64, words: &[u32]) -> Result<(), Problem> {
        let size = 4 * words.len() as u64;
        let number = self.device.buffer("words", size, 4 | 8)?;
        self.device.write(number, 0, bytemuck::cast_slice(words))?;
        let ranges = [f64::from(buffer), offset as f64, size as f64];
        let packed = self.device.of(f64::from(number));
        self.device.copy(&mut self.encoder.borrow_mut(), &packed, &ranges, true);
        self.device.release(&[], &[number]);
        Ok(())
    }

    fn play(&self, words: &[u32]) -> Result<(), Problem> {
        let objects = &self.device.0;
        let (kernels, groups) = (objects.kernels.borrow(), objects.groups.borrow());
        let mut encoder = self.encoder.borrow_mut();
        let (clears, dispatches) = words[1..].split_at(words[0] as usize);
        for clear in clears {
            encoder.clear_buffer(&self.device.of(f64::from(*clear)), 0, None);
        }
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for dispatch in dispatches.chunks_exact(15) {
            pass.set_pipeline(&kernels[&dispatch[0]]);
            for (index, bound) in (0..).zip(dispatch[3..].chunks_exact(3)) {
                match bound[0] {
                    bind::NOTHING => {}
                    bind::GROUP => pass.set_bind_group(index, &groups[&bound[1]], &[]),
                    bind::AT_OFFSET => pass.set_bind_group(index, &groups[&bound[1]], &[bound[2]; 2]),
                    other => panic!("there is no kind {other}"),
                }
            }
            pass.dispatch_workgroups(dispatch[1], dispatch[2], 1);
        }
        Ok(())
    }
}

impl Device for Numbered {
    type Encoder = Encoder;

    fn layout(&self, bindings: &[u32]) -> Result<(), Problem> {
        let entry = |pair: &[u32]| {
            let read = |read_only| wgpu::BufferBindingType::Storage { read_only };
            let (ty, has_dynamic_offset) = match pair[1] {
                binding::UNIFORM => (wgpu::BufferBindingType::Uniform, false),
                binding::DYNAMIC_UNIFORM => (wgpu::BufferBindingType::Uniform, true),
                binding::READ => (read(true), false),
                binding::READ_WRITE => (read(false), false),
                other => panic!("there is no kind {other}"),
            };
            wgpu::BindGroupLayoutEntry {
                binding: pair[0],
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
                count: None,
            }
        };
        let entries: Vec<_> = bindings.chunks_exact(2).map(entry).collect();
        let descriptor = wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries };
        self.0.layouts.borrow_mut().push(self.0.device.create_bind_group_layout(&descriptor));
        Ok(())
    }

    fn buffer(&self, label: &str, size: u64, usage: u32) -> Result<u32, Problem> {
        let usage = wgpu::BufferUsages::from_bits(usage).unwrap();
        let descriptor =
            wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        Ok(self.put(&self.0.buffers, self.0.device.create_buffer(&descriptor)))
    }

    fn kernel(
        &self,
        number: u32,
        text: KernelText<'_>,
        layouts: &[u32],
        constants: &[(&str, u32)],
        _: bool,
    ) -> Result<(), Problem> {
        let device = &self.0.device;
        let source = wgpu::ShaderSource::Wgsl(text.wgsl.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        let all = self.0.layouts.borrow();
        let layouts: Vec<_> = layouts.iter().map(|&layout| all.get(layout as usize)).collect();
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &layouts,
            immediate_size: 0,
        });
        let constants: Vec<_> = constants.iter().map(|(name, value)| (*name, f64::from(*value))).collect();
        let compilation_options =
            wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(text.name),
            layout: Some(&layout),
            module: &module,
            entry_point: Some(text.entry),
            compilation_options,
            cache: None,
        });
        self.0.kernels.borrow_mut().insert(number, pipeline);
        Ok(())
    }

    fn group(&self, label: &str, layout: u32, entries: &[f64]) -> Result<u32, Problem> {
        let buffers: Vec<_> = entries.chunks_exact(4).map(|entry| self.of(entry[1])).collect();
        let entry = |(entry, buffer)| {
            let entry: &[f64] = entry;
            let (offset, size) = (entry[2] as u64, wgpu::BufferSize::new(entry[3] as u64));
            let bound = wgpu::BufferBinding { buffer, offset, size };
            wgpu::BindGroupEntry { binding: entry[0] as u32, resource: wgpu::BindingResource::Buffer(bound) }
        };
        let entries: Vec<_> = entries.chunks_exact(4).zip(&buffers).map(entry).collect();
        let group = self.0.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &self.0.layouts.borrow()[layout as usize],
            entries: &entries,
        });
        Ok(self.put(&self.0.groups, group))
    }

    fn release(&self, groups: &[u32], buffers: &[u32]) {
        groups.iter().for_each(|group| _ = self.0.groups.borrow_mut().remove(group).unwrap());
        buffers.iter().for_each(|buffer| _ = self.0.buffers.borrow_mut().remove(buffer).unwrap());
    }

    fn made(&self) -> Promise<()> {
        async { Ok(()) }.boxed_local()
    }

    fn write(&self, buffer: u32, offset: u64, bytes: &[u8]) -> Result<(), Problem> {
        self.0.queue.write_buffer(&self.of(f64::from(buffer)), offset, bytes);
        Ok(())
    }

    fn unpack(&self, bytes: &[u8], targets: &[f64]) -> Result<(), Problem> {
        let number = self.buffer("packed", bytes.len() as u64, 4 | 8)?;
        self.write(number, 0, bytes)?;
        let packed = self.of(f64::from(number));
        let mut encoder = self.0.device.create_command_encoder(&Default::default());
        self.copy(&mut encoder, &packed, targets, true);
        self.0.queue.submit([encoder.finish()]);
        self.release(&[], &[number]);
        Ok(())
    }

    fn read(&self, ranges: &[f64]) -> Promise<Vec<u8>> {
        let size = ranges.chunks_exact(3).map(|range| range[2] as u64).sum();
        let number = self.buffer("read", size, 1 | 8).unwrap();
        let staging = self.of(f64::from(number));
        let mut encoder = self.0.device.create_command_encoder(&Default::default());
        self.copy(&mut encoder, &staging, ranges, false);
        self.0.queue.submit([encoder.finish()]);
        self.release(&[], &[number]);
        staging.map_async(wgpu::MapMode::Read, .., |mapped| mapped.unwrap());
        let device = self.0.device.clone();
        async move {
            device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            Ok(staging.get_mapped_range(..).unwrap().to_vec())
        }
        .boxed_local()
    }
}
