//! Finds the cut of the kernels that is quickest on a device.

use std::time::{Duration, Instant};

use super::{builder::Builder, training::Optimizer};
use crate::{
    config::{clip::Clip, lookahead::Lookahead, shape::Shape},
    error::Error,
    gpu::{Pipelines, Wgpu},
    layout::field::Field,
    rules::Adam,
};

/// When no more candidates are tried.
const BUDGET: Duration = Duration::from_millis(1500);

/// How long each is timed at least.
const SAMPLE: Duration = Duration::from_millis(10);

/// Values that are stepped: more than caches hold on hardware, and few enough for a CPU.
const VALUES: [usize; 2] = [1 << 22, 1 << 17];

/// Measures on this device which [`Shape`] steps quickest, in some two seconds
/// (nothing is begun after 1.5): of Lookahead(Adam) over one tensor, alone
/// for how steps are cut, and clipped by norm for how sums are. Where two are as quick but for a twentieth, the one for
/// the adapter's kind stays.
///
/// Nothing else should run on the device meanwhile. A shape can be saved and loaded with serde:
///
/// ```no_run
/// use lookahead_wgpu::{Optimizer, autotune, gpu::Gpu, rules::Adam};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gpu = Gpu::open_blocking(None)?;
/// let shape = autotune(&gpu.device, &gpu.queue)?;
/// std::fs::write("shape.json", serde_json::to_string(&shape)?)?;
/// let builder = Optimizer::builder(Adam::default()).tensor("w", &[1000]).shape(shape);
/// let optimizer = builder.build_blocking(&gpu.device, &gpu.queue)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`Builder::build`]; [`Error::DeviceLost`].
pub fn autotune(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Shape, Error> {
    let kind = Shape::from(&device.adapter_info());
    let tuning =
        Tuning { device, queue, values: VALUES[usize::from(kind == Shape::CPU)], begin: Instant::now() };
    let steps = [256, 128, 64, 32].into_iter().flat_map(|workgroup| [1, 4].map(|vec4s| (workgroup, vec4s)));
    let steps = steps.map(|(workgroup, vec4s)| Shape { workgroup, vec4s, ..kind });
    let shape = tuning.quickest(kind, steps, Clip::None)?;
    let sums = [1, 32, 256].map(|lanes| Shape { lanes, row_lanes: lanes.min(32), ..shape });
    tuning.quickest(shape, sums, Clip::GlobalNorm(1.0))
}

struct Tuning<'a> {
    device: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    values: usize,
    begin: Instant,
}

impl Tuning<'_> {
    /// The quickest of those for which there is time.
    fn quickest(
        &self,
        first: Shape,
        others: impl IntoIterator<Item = Shape>,
        clip: Clip,
    ) -> Result<Shape, Error> {
        let mut best = (first, self.time(first, clip)?.mul_f64(0.95));
        for shape in others {
            if shape == first || self.begin.elapsed() > BUDGET {
                continue;
            }
            let time = self.time(shape, clip)?;
            if time < best.1 {
                best = (shape, time);
            }
        }
        Ok(best.0)
    }

    /// The least time of a cycle.
    fn time(&self, shape: Shape, clip: Clip) -> Result<Duration, Error> {
        let builder =
            Builder::<Wgpu>::new(Adam::default()).lookahead(Lookahead::default()).clip(clip).shape(shape);
        let builder = builder.tensor("w", &[self.values]).pipelines(&Pipelines::default());
        let mut optimizer = builder.build_blocking(self.device, self.queue)?;
        let noise: Vec<f32> = (0..self.values).map(|value| (value as f32 * 12.9898).sin()).collect();
        optimizer.upload("w", &noise)?;
        for slice in optimizer.buffers(Field::Gradients, "w")? {
            self.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&noise));
        }
        self.cycle(&mut optimizer)?;
        let (mut least, begin) = (Duration::MAX, Instant::now());
        while begin.elapsed() < SAMPLE || least == Duration::MAX {
            least = least.min(self.cycle(&mut optimizer)?);
        }
        Ok(least)
    }

    /// Records, submits and awaits a cycle.
    fn cycle(&self, optimizer: &mut Optimizer) -> Result<Duration, Error> {
        let begin = Instant::now();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for _ in 0..Lookahead::default().k {
            optimizer.step(&mut encoder)?;
        }
        self.queue.submit([encoder.finish()]);
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        polled.map_err(|problem| Error::Device {
            doing: "autotune".to_owned(),
            message: problem.to_string(),
        })?;
        Ok(begin.elapsed())
    }
}
