//! What is timed: optimizers over values that look random, and plain copies.

use lookahead_wgpu::{
    Builder, DEFAULT_GROUP, Field, Gradients, Half, Lookahead, Optimizer, Options, Rule, Slice,
    alpha::GradientAt, gpu::Gpu, rules, wgpu,
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use crate::{
    Failure,
    floor::{self, Floor, Streams},
    measure::Work,
};

/// Steps of a cycle.
pub const K: u32 = 5;

/// Bytes of one.
pub const VALUE: usize = size_of::<f32>();

/// The kinds of rules, each with its state's usual hyperparameters.
pub fn rules() -> Vec<(&'static str, Box<dyn Rule>)> {
    rules::kinds().map(|kind| (kind.name, kind.rule(1e-3))).collect()
}

/// Lookahead as it is measured, policies aside.
pub fn lookahead() -> Lookahead {
    Lookahead::new(K, 0.5)
}

/// An optimizer to be timed, and what is known of it beforehand.
pub struct Subject {
    pub parameters: u64,
    pub tensors: usize,
    /// Clipping's aside.
    pub dispatches: usize,
    /// That a step must move, averaged over a cycle.
    pub bytes: f64,
    /// What a step moves, and a cycle's last one.
    pub streams: [Streams; 2],
    /// Records a cycle.
    pub work: Work,
}

impl Subject {
    /// An optimizer with buffers of its own.
    pub fn owned(gpu: &Gpu, builder: Builder) -> Result<Self, Failure> {
        let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue)?;
        fill(gpu, &mut optimizer, None)?;
        Ok(Self::new(optimizer, None, K))
    }

    /// The same, with these options.
    pub fn with(gpu: &Gpu, builder: Builder, options: Options) -> Result<Self, Failure> {
        let extra = options.adaptive.is_some_and(|it| it.gradient == GradientAt::Synchronised);
        let half = options.half_gradients;
        let mut optimizer = builder.options(options).build_blocking(&gpu.device, &gpu.queue)?;
        fill(gpu, &mut optimizer, half)?;
        Ok(Self::new(optimizer, None, K + u32::from(extra)))
    }

    /// An optimizer of one tensor whose weights and gradients lie in one buffer of the caller's, so many values behind a
    /// multiple of four.
    pub fn pooled(gpu: &Gpu, builder: Builder, parameters: usize, behind: usize) -> Result<Self, Failure> {
        let size = (parameters * VALUE) as u64;
        let room = size.next_multiple_of(16) + 16;
        let pool = buffer(gpu, 2 * room);
        let at = |start: u64| Slice::new(&pool, start + (behind * VALUE) as u64, size);
        let builder = builder.borrowed("w", &[parameters], at(0));
        let optimizer = builder.build_blocking(&gpu.device, &gpu.queue)?;
        let gradients = optimizer.borrow_gradients_blocking(&[("w", at(room))])?;
        write(gpu, &Slice::whole(&pool), &noise(2 * room as usize / VALUE, 0));
        land(gpu)?;
        Ok(Self::new(optimizer, Some(gradients), K))
    }

    /// An optimizer of tensors whose weights and gradients lie in buffers of the caller's, each in one of its own.
    pub fn apart(gpu: &Gpu, builder: Builder, tensors: &[(String, Vec<usize>)]) -> Result<Self, Failure> {
        let slices = |seed: u64| -> Vec<Slice> {
            let of = |((_, shape), seed): (&(String, Vec<usize>), u64)| {
                let len: usize = shape.iter().product();
                let slice = Slice::whole(&buffer(gpu, (len * VALUE) as u64));
                write(gpu, &slice, &noise(len, seed));
                slice
            };
            tensors.iter().zip(seed..).map(of).collect()
        };
        let (weights, gradients) = (slices(0), slices(tensors.len() as u64));
        let named = tensors.iter().map(|(name, _)| name.as_str());
        let builder = tensors
            .iter()
            .zip(weights)
            .fold(builder, |builder, ((name, shape), slice)| builder.borrowed(name, shape, slice));
        let optimizer = builder.build_blocking(&gpu.device, &gpu.queue)?;
        let gradients: Vec<_> = named.zip(gradients).collect();
        let gradients = optimizer.borrow_gradients_blocking(&gradients)?;
        land(gpu)?;
        Ok(Self::new(optimizer, Some(gradients), K))
    }

    /// No optimizer: a kernel that copies as many values, which shows what the adapter's shaders reach.
    pub fn copy_kernel(gpu: &Gpu, parameters: usize) -> Result<Self, Failure> {
        let streams = [Streams::COPY; 2];
        let Floor { bytes, work } = floor::cycle(gpu, parameters, streams[0], streams[1])?;
        Ok(Self { parameters: parameters as u64, tensors: 1, dispatches: 1, bytes, streams, work })
    }

    /// `calls` of `step` make a cycle.
    fn new(mut optimizer: Optimizer, gradients: Option<Gradients>, calls: u32) -> Self {
        let shapes: Vec<&[usize]> = optimizer.tensors().map(|(_, shape)| shape).collect();
        let traffic = optimizer.traffic();
        let parameters = shapes.iter().map(|shape| shape.iter().product::<usize>() as u64).sum();
        let per_parameter = |bytes: u64| bytes as f64 / parameters as f64;
        // A step reads the weights, the gradient and the state, and writes the weights and the state.
        let writes = 1 + optimizer.rule(DEFAULT_GROUP).map_or(0, |rule| rule.slots().len() as u32);
        let last = writes + u32::from(traffic.sync > 0);
        Self {
            parameters,
            tensors: shapes.len(),
            dispatches: gradients.as_ref().map_or(optimizer.dispatches(), Gradients::dispatches),
            bytes: traffic.step as f64 + traffic.sync as f64 / f64::from(K),
            streams: [
                Streams::of(per_parameter(traffic.step), writes),
                Streams::of(per_parameter(traffic.step + traffic.sync), last),
            ],
            work: Box::new(move |encoder| {
                for _ in 0..calls {
                    match &gradients {
                        None => optimizer.step(encoder)?,
                        Some(gradients) => optimizer.step_with(encoder, gradients)?,
                    }
                }
                Ok(())
            }),
        }
    }
}

/// Values of 64 KiB.
const PAGE: usize = 16_384;

/// Plain copies from buffer to buffer.
pub struct Copy {
    /// Read and written by one copy.
    pub bytes: f64,
    /// Records as many copies as a cycle has steps.
    pub work: Work,
}

impl Copy {
    /// Copies that each read and write about `bytes`, as far as a buffer can be so large.
    pub fn new(gpu: &Gpu, bytes: f64) -> Result<Self, Failure> {
        let values = (bytes as u64 / 2).min(gpu.device.limits().max_buffer_size) as usize / VALUE;
        // Some drivers copy sizes that are no multiple of a page at a tenth of the rate.
        let values = if values > PAGE { values - values % PAGE } else { values };
        let size = (values * VALUE) as u64;
        let (from, to) = (buffer(gpu, size), buffer(gpu, size));
        write(gpu, &Slice::whole(&from), &noise(values, 0));
        land(gpu)?;
        let work: Work = Box::new(move |encoder| {
            for _ in 0..K {
                encoder.copy_buffer_to_buffer(&from, 0, &to, 0, size);
            }
            Ok(())
        });
        Ok(Self { bytes: 2.0 * size as f64, work })
    }
}

/// Gives all weights and gradients values.
pub fn fill(gpu: &Gpu, optimizer: &mut Optimizer, half: Option<Half>) -> Result<(), Failure> {
    let tensors: Vec<(String, usize)> =
        optimizer.tensors().map(|(name, shape)| (name.to_owned(), shape.iter().product())).collect();
    for ((name, len), seed) in tensors.iter().zip((0..).step_by(2)) {
        optimizer.upload(name, &noise(*len, seed))?;
        let gradients = bytes(&noise(*len, seed + 1), half);
        let mut rest = &gradients[..];
        for slice in optimizer.buffers(Field::Gradients, name)? {
            let (head, tail) = rest.split_at(slice.size as usize);
            gpu.queue.write_buffer(&slice.buffer, slice.offset, head);
            rest = tail;
        }
    }
    land(gpu)
}

/// Values as a buffer holds them.
fn bytes(values: &[f32], half: Option<Half>) -> Vec<u8> {
    let Some(half) = half else { return bytemuck::cast_slice(values).to_vec() };
    let bits = values.iter().map(|value| match half {
        Half::F16 => half::f16::from_f32(*value).to_bits(),
        Half::Bf16 => half::bf16::from_f32(*value).to_bits(),
    });
    let mut bits: Vec<u16> = bits.collect();
    bits.resize(values.len().next_multiple_of(2), 0);
    bytemuck::cast_slice(&bits).to_vec()
}

/// Room for values, to be read and written.
pub fn buffer(gpu: &Gpu, size: u64) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("benchmark"),
        size,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

fn write(gpu: &Gpu, slice: &Slice, values: &[f32]) {
    gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(values));
}

/// Waits until what was written is there.
pub fn land(gpu: &Gpu) -> Result<(), Failure> {
    gpu.queue.submit([]);
    gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(())
}

/// Values that look random: memory of zeros can be read faster than any other.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = SmallRng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}
