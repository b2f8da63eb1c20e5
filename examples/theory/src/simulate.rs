//! The models of the theory, run with the library's own optimizer: each coordinate of each of many
//! repeats is one parameter. All steps are recorded without a readback; what was measured comes back in one.

use crate::moments::Sums;
use lookahead_wgpu::analysis::{Descent, Moments, NoisyQuadratic};
use lookahead_wgpu::gpu::Gpu;
use lookahead_wgpu::rules::Sgd;
use lookahead_wgpu::{Lookahead, Optimizer, Slice, wgpu};

/// Repeats come in multiples of this: a workgroup measures as many values at least.
pub const GROUP: u32 = 256;
/// vec4s that an invocation measures at most: f32 sums stay exact enough.
const DEEPEST: u32 = 16;
/// Steps of one submission: no watchdog of a slow device bites, and the GPU does not idle.
const STEPS_AT_ONCE: u64 = 128;
/// Bytes from one step's uniform to the next: the largest alignment that a device may ask for.
const SLOT: u32 = 256;
const THETA: &str = "theta";

/// A simulation failed.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The optimizer or the analysis refused something.
    #[error(transparent)]
    Library(#[from] lookahead_wgpu::Error),
    /// No whole workgroup can measure these.
    #[error("{0} repeats are not possible: give a power of two from {GROUP} on")]
    Repeats(u32),
    /// A run without steps has nothing to show.
    #[error("a run needs 1 to {most} steps on this device, not {steps}")]
    Steps {
        /// How many were asked for.
        steps: u64,
        /// How many one buffer has room for.
        most: u64,
    },
    /// The device refused something, or has no memory left.
    #[error("the device failed while {doing}: {message}")]
    Device {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        message: String,
    },
}

/// Which steps are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// All, and the start.
    All,
    /// The last.
    Last,
}

/// A run of one optimizer on one model.
#[derive(Debug, Clone)]
pub struct Run {
    pub descent: Descent,
    pub lookahead: Option<Lookahead>,
    pub steps: u64,
    pub measure: Measure,
    /// Synchronise with a command of its own rather than in the k-th step, and measure before it too.
    pub splits_sync: bool,
    pub seed: u32,
    /// Keeps the noise of runs of one seed apart.
    pub number: u32,
}

/// What was measured after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Inner steps taken.
    pub step: u64,
    /// Whether a sync of its own comes next.
    pub is_before_sync: bool,
    /// Of the fast weights, over the repeats. Variances are without bias.
    pub moments: Moments,
}

/// The model in so many repeats from one start.
#[derive(Debug, Clone)]
pub struct Ensemble<'a> {
    pub model: &'a NoisyQuadratic,
    pub start: &'a [f64],
    pub repeats: u32,
}

/// Runs the models on a device.
pub struct Simulator<'a> {
    gpu: &'a Gpu,
    gradient: wgpu::ComputePipeline,
}

impl<'a> Simulator<'a> {
    /// Compiles the gradient.
    pub fn new(gpu: &'a Gpu) -> Result<Self, SimulationError> {
        let wgsl =
            concat!(include_str!("normal.wgsl"), include_str!("moment.wgsl"), include_str!("gradient.wgsl"));
        let gradient = checked(gpu, "compiling the gradient", || pipeline(gpu, "gradient", wgsl, 3))?;
        Ok(Self { gpu, gradient })
    }

    /// Runs the noisy quadratic model.
    pub fn measure(&self, ensemble: &Ensemble<'_>, run: &Run) -> Result<Vec<Sample>, SimulationError> {
        let repeats = ensemble.repeats;
        if repeats < GROUP || !repeats.is_power_of_two() {
            return Err(SimulationError::Repeats(repeats));
        }
        let depth = (repeats / GROUP).min(DEEPEST);
        let chunk = depth * GROUP;
        let chunks = ensemble.start.len() as u32 * (repeats / chunk);
        let record = u64::from(chunks) * size_of::<[f32; 2]>() as u64;
        self.check_steps(run.steps, record)?;
        let schedule = schedule(run);
        let mut setup = self.set_up(ensemble, run, schedule.len(), record)?;

        let gpu = self.gpu;
        let wgsl = format!(
            "const DEPTH = {depth}u;\n{}",
            concat!(include_str!("moment.wgsl"), include_str!("measure.wgsl"))
        );
        let (measure, bind_group) = checked(gpu, "compiling the measurement", || {
            let pipeline = pipeline(gpu, "measure", &wgsl, 2);
            let records = Slice::whole(&setup.records);
            let bind_group = bind(gpu, &pipeline, &setup.moments, &[&setup.weights, &records]);
            (pipeline, bind_group)
        })?;
        let workgroups = grid(chunks);
        let look = |encoder: &mut wgpu::CommandEncoder, index: u32| {
            dispatch(encoder, &measure, &bind_group, index * SLOT, workgroups);
        };
        self.go(&mut setup, run, look)?;

        let values = self.read(&setup.records)?;
        let per_coordinate = (repeats / chunk) as usize;
        let sample = |(record, (step, is_before_sync)): (&[f32], &(u64, bool))| {
            let sums = record.chunks_exact(2 * per_coordinate).map(|chunks| {
                let parts = chunks.chunks_exact(2).map(|pair| Sums {
                    count: f64::from(chunk),
                    mean: f64::from(pair[0]),
                    squares: f64::from(pair[1]),
                });
                parts.fold(Sums::default(), Sums::join)
            });
            let (mean, variance) = sums.map(|sums| (sums.mean, sums.variance())).unzip();
            Sample { step: *step, is_before_sync: *is_before_sync, moments: Moments { mean, variance } }
        };
        Ok(values.chunks_exact(2 * chunks as usize).zip(&schedule).map(sample).collect())
    }

    /// Runs the model without noise, once, and returns the fast weights after every `period` steps, the start first.
    pub fn trace(
        &self,
        curvatures: &[f64],
        start: &[f64],
        descent: Descent,
        lookahead: Option<Lookahead>,
        period: u64,
        steps: u64,
    ) -> Result<Vec<Vec<f64>>, SimulationError> {
        let run =
            Run { descent, lookahead, steps, measure: Measure::All, splits_sync: false, seed: 0, number: 0 };
        let model = NoisyQuadratic::new(curvatures, &vec![0.0; curvatures.len()])?;
        // Four repeats, alike: a vec4 is of one coordinate.
        let ensemble = Ensemble { model: &model, start, repeats: 4 };
        let records = 1 + steps / period;
        let bytes = 16 * curvatures.len() as u64;
        self.check_steps(steps, bytes)?;
        let mut setup = self.set_up(&ensemble, &run, records as usize, bytes)?;
        let (weights, records) = (setup.weights.clone(), setup.records.clone());
        let look = |encoder: &mut wgpu::CommandEncoder, taken: u32| {
            if u64::from(taken).is_multiple_of(period) {
                let target = u64::from(taken) / period * bytes;
                encoder.copy_buffer_to_buffer(&weights.buffer, weights.offset, &records, target, bytes);
            }
        };
        self.go(&mut setup, &run, look)?;
        let values = self.read(&setup.records)?;
        let first = |record: &[f32]| record.iter().step_by(4).map(|value| f64::from(*value)).collect();
        Ok(values.chunks_exact(4 * curvatures.len()).map(first).collect())
    }

    /// Refuses more steps than have room, each with its uniform and up to two records of so many bytes.
    fn check_steps(&self, steps: u64, bytes: u64) -> Result<(), SimulationError> {
        let limits = self.gpu.device.limits();
        let limit = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        let most = limit / (2 * bytes).max(u64::from(SLOT));
        // Offsets are words.
        let most = most.min(u64::from(u32::MAX / SLOT)).saturating_sub(1);
        if (1..=most).contains(&steps) { Ok(()) } else { Err(SimulationError::Steps { steps, most }) }
    }

    /// Makes optimizer and buffers, with room for `records` records of so many bytes.
    fn set_up(
        &self,
        ensemble: &Ensemble<'_>,
        run: &Run,
        records: usize,
        bytes: u64,
    ) -> Result<Setup, SimulationError> {
        let Gpu { device, queue, pipelines, .. } = self.gpu;
        let lookahead = run.lookahead.map(|lookahead| match run.splits_sync {
            // Its cycle never ends by itself.
            true => lookahead.k(u32::MAX),
            false => lookahead,
        });
        let coordinates = ensemble.start.len();
        let rule = Sgd::new(run.descent.learning_rate).momentum(run.descent.momentum);
        let mut builder = Optimizer::builder(rule).tensor(THETA, &[coordinates, ensemble.repeats as usize]);
        if let Some(lookahead) = lookahead {
            builder = builder.lookahead(lookahead);
        }
        let mut optimizer = builder.pipelines(pipelines).build_blocking(device, queue)?;
        let repeated = |value: &f64| std::iter::repeat_n(*value as f32, ensemble.repeats as usize);
        let start: Vec<f32> = ensemble.start.iter().flat_map(repeated).collect();
        optimizer.upload(THETA, &start)?;
        let (weights, gradients) = (optimizer.weights(THETA)?, optimizer.gradients(THETA)?);

        let model = ensemble.model;
        let pairs = model.curvatures().iter().zip(model.deviations());
        let pairs: Vec<[f32; 2]> = pairs.map(|(a, sigma)| [*a as f32, *sigma as f32]).collect();
        // One uniform for each step and each record, whichever are more.
        let slots = (run.steps as usize + 1).max(records);
        let stride = (bytes / size_of::<[f32; 2]>() as u64) as u32;
        let mut words = vec![0; slots * (SLOT / 4) as usize];
        for (i, slot) in (0..).zip(words.chunks_exact_mut((SLOT / 4) as usize)) {
            slot[..5].copy_from_slice(&[i, run.seed, run.number, i * stride, ensemble.repeats / 4]);
        }
        let gpu = self.gpu;
        checked(gpu, "making the buffers", || {
            use wgpu::BufferUsages as Usage;
            let moments = buffer(device, "moments", 4 * words.len() as u64, Usage::UNIFORM);
            queue.write_buffer(&moments, 0, bytemuck::cast_slice(&words));
            let model = buffer(device, "coordinates", size_of_val(&pairs[..]) as u64, Usage::STORAGE);
            queue.write_buffer(&model, 0, bytemuck::cast_slice(&pairs));
            let records = buffer(device, "records", bytes * records as u64, Usage::STORAGE | Usage::COPY_SRC);
            let slices = [&Slice::whole(&model), &weights, &gradients];
            let gradient = bind(gpu, &self.gradient, &moments, &slices);
            let workgroups = grid((start.len() as u32 / 4).div_ceil(64));
            Setup { optimizer, weights, moments, records, gradient, workgroups }
        })
    }

    /// Takes all steps. `look` records what is measured, and is told its number.
    fn go(
        &self,
        setup: &mut Setup,
        run: &Run,
        mut look: impl FnMut(&mut wgpu::CommandEncoder, u32),
    ) -> Result<(), SimulationError> {
        let gpu = self.gpu;
        let mut steps = 0..run.steps;
        let mut looks = 0;
        let mut look = |encoder: &mut wgpu::CommandEncoder| {
            look(encoder, looks);
            looks += 1;
        };
        while !steps.is_empty() {
            let end = steps.end.min(steps.start + STEPS_AT_ONCE);
            checked(gpu, "running the steps", || -> Result<(), SimulationError> {
                let mut encoder = gpu.device.create_command_encoder(&Default::default());
                if steps.start == 0 && run.measure == Measure::All {
                    look(&mut encoder);
                }
                for step in steps.start..end {
                    // In range: `check_steps` saw to it.
                    let offset = step as u32 * SLOT;
                    dispatch(&mut encoder, &self.gradient, &setup.gradient, offset, setup.workgroups);
                    setup.optimizer.step(&mut encoder)?;
                    if syncs_after(run, step) {
                        if run.measure == Measure::All {
                            look(&mut encoder);
                        }
                        setup.optimizer.sync_now(&mut encoder)?;
                    }
                    if run.measure == Measure::All || step + 1 == run.steps {
                        look(&mut encoder);
                    }
                }
                gpu.queue.submit([encoder.finish()]);
                Ok(())
            })??;
            steps.start = end;
        }
        Ok(())
    }

    /// Waits for what was submitted and reads a buffer.
    fn read(&self, source: &wgpu::Buffer) -> Result<Vec<f32>, SimulationError> {
        let Gpu { device, queue, .. } = self.gpu;
        let doing = "reading the results";
        let failed = |message: String| SimulationError::Device { doing, message };
        let (sender, mapped) = std::sync::mpsc::channel();
        let staging = checked(self.gpu, doing, || {
            let usage = wgpu::BufferUsages::MAP_READ;
            let staging = buffer(device, "staging", source.size(), usage);
            let mut encoder = device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(source, 0, &staging, 0, source.size());
            queue.submit([encoder.finish()]);
            staging.map_async(wgpu::MapMode::Read, .., move |result| {
                // The other end lives until the answer came.
                let _ = sender.send(result);
            });
            staging
        })?;
        device.poll(wgpu::PollType::wait_indefinitely()).map_err(|problem| failed(problem.to_string()))?;
        let mapped = mapped.recv().map_err(|_| failed("no answer came".to_owned()))?;
        mapped.map_err(|problem| failed(problem.to_string()))?;
        let view = staging.get_mapped_range(..).map_err(|problem| failed(problem.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }
}

/// What a run needs on the device.
struct Setup {
    optimizer: Optimizer,
    weights: Slice,
    moments: wgpu::Buffer,
    records: wgpu::Buffer,
    gradient: wgpu::BindGroup,
    workgroups: [u32; 2],
}

fn syncs_after(run: &Run, step: u64) -> bool {
    run.splits_sync && run.lookahead.is_some_and(|lookahead| (step + 1).is_multiple_of(lookahead.k.into()))
}

/// Steps taken at each measurement, and whether a sync of its own comes next.
fn schedule(run: &Run) -> Vec<(u64, bool)> {
    if run.measure == Measure::Last {
        return vec![(run.steps, false)];
    }
    let mut schedule = vec![(0, false)];
    for step in 0..run.steps {
        if syncs_after(run, step) {
            schedule.push((step + 1, true));
        }
        schedule.push((step + 1, false));
    }
    schedule
}

/// Workgroups in two dimensions, neither beyond what every device allows.
fn grid(workgroups: u32) -> [u32; 2] {
    const WIDEST: u32 = 32_768;
    [workgroups.min(WIDEST), workgroups.div_ceil(WIDEST)]
}

fn buffer(device: &wgpu::Device, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let usage = usage | wgpu::BufferUsages::COPY_DST;
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size,
        usage,
        mapped_at_creation: false,
    })
}

/// A kernel that binds the moment's uniform and then `arrays` arrays, of which it writes the last.
pub fn pipeline(gpu: &Gpu, name: &str, wgsl: &str, arrays: u32) -> wgpu::ComputePipeline {
    let device = &gpu.device;
    let entry = |binding| {
        let is_uniform = binding == 0;
        let read_only = binding != arrays;
        wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match is_uniform {
                    true => wgpu::BufferBindingType::Uniform,
                    false => wgpu::BufferBindingType::Storage { read_only },
                },
                has_dynamic_offset: is_uniform,
                min_binding_size: None,
            },
            count: None,
        }
    };
    let entries: Vec<_> = (0..=arrays).map(entry).collect();
    let layout = device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(name),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let source = wgpu::ShaderSource::Wgsl(wgsl.into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(name), source });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(name),
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    })
}

fn bind(
    gpu: &Gpu,
    pipeline: &wgpu::ComputePipeline,
    moments: &wgpu::Buffer,
    arrays: &[&Slice],
) -> wgpu::BindGroup {
    let moment = Slice::new(moments, 0, 32);
    let resources = std::iter::once(moment.binding()).chain(arrays.iter().map(|slice| slice.binding()));
    let entries: Vec<_> =
        (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    })
}

fn dispatch(
    encoder: &mut wgpu::CommandEncoder,
    pipeline: &wgpu::ComputePipeline,
    bind_group: &wgpu::BindGroup,
    offset: u32,
    [x, y]: [u32; 2],
) {
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, bind_group, &[offset]);
    pass.dispatch_workgroups(x, y, 1);
}

/// Does something on the device, whose errors would otherwise end the program.
fn checked<T>(gpu: &Gpu, doing: &'static str, make: impl FnOnce() -> T) -> Result<T, SimulationError> {
    let scopes = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal]
        .map(|filter| gpu.device.push_error_scope(filter));
    let made = make();
    // Scopes close in the reverse order of their opening.
    let [validation, memory, internal] = scopes;
    for scope in [internal, memory, validation] {
        if let Some(problem) = pollster::block_on(scope.pop()) {
            return Err(SimulationError::Device { doing, message: problem.to_string() });
        }
    }
    Ok(made)
}
