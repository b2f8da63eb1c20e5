//! The times of one size.

use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use lookahead_wgpu::{Field, Lookahead, Optimizer, gpu::Gpu, rules::Adam, wgpu};
use serde::Serialize;

/// How large a model is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Size {
    pub tensors: u64,
    /// Of each tensor.
    pub values: u64,
}

/// Values of each of many tensors.
const FEW: u64 = 256;

impl Size {
    /// One tensor of up to so many parameters, and up to 10,000 tensors.
    pub fn all(largest: u64) -> Vec<Self> {
        let decades = |last: u64| (0..).map(|power| 10u64.pow(power)).take_while(move |size| *size <= last);
        let one = decades(largest).filter(|values| *values >= 1000).map(|values| Self { tensors: 1, values });
        let many = decades(10_000).map(|tensors| Self { tensors, values: FEW });
        one.chain(many).collect()
    }

    /// In all.
    pub fn parameters(self) -> u64 {
        self.tensors * self.values
    }

    /// Whether it is one of many small tensors, rather than one of many parameters.
    pub fn is_many(self) -> bool {
        self.values == FEW
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensor(s) of {} values", self.tensors, self.values)
    }
}

/// What is timed, in this order.
pub const WHAT: [&str; 5] = ["build", "step", "step with sync", "export", "import"];

/// Seconds that a size takes of each.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    pub size: Size,
    /// By [`WHAT`].
    pub seconds: [f64; WHAT.len()],
}

/// How long each is sampled.
const SAMPLE: Duration = Duration::from_millis(300);

impl Point {
    /// The pipelines are made before.
    pub fn measure(gpu: &Gpu, size: Size) -> Result<Self, Box<dyn Error>> {
        let names: Vec<_> = (0..size.tensors).map(|tensor| format!("tensor {tensor}")).collect();
        let build = |k| -> Result<Optimizer, lookahead_wgpu::Error> {
            let shape = [size.values as usize];
            let builder = Optimizer::builder(Adam::default()).lookahead(Lookahead::new(k, 0.5));
            let builder = names.iter().fold(builder, |builder, name| builder.tensor(name, &shape));
            builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue)
        };
        build(1)?;
        let built = median(|| build(1).map(drop).map_err(Into::into))?;
        let [mut rare, mut always] = [build(1_000_000)?, build(1)?];
        fill(gpu, &mut rare, &names, size)?;
        fill(gpu, &mut always, &names, size)?;
        let seconds = [
            built,
            step(gpu, &mut rare)?,
            step(gpu, &mut always)?,
            median(|| rare.export_blocking().map(drop).map_err(Into::into))?,
            {
                let snapshot = rare.export_blocking()?;
                median(|| rare.import(&snapshot).map_err(Into::into).and_then(|()| wait(gpu)))?
            },
        ];
        Ok(Self { size, seconds })
    }
}

/// Values that look random.
fn fill(gpu: &Gpu, optimizer: &mut Optimizer, names: &[String], size: Size) -> Result<(), Box<dyn Error>> {
    let noise: Vec<f32> = (0..size.values).map(|value| (value as f32 * 12.9898).sin()).collect();
    for name in names {
        optimizer.upload(name, &noise)?;
        let mut rest = noise.as_slice();
        for slice in optimizer.buffers(Field::Gradients, name)? {
            let (head, tail) = rest.split_at(slice.size as usize / size_of::<f32>());
            let bytes: Vec<u8> = head.iter().flat_map(|value| value.to_le_bytes()).collect();
            gpu.queue.write_buffer(&slice.buffer, slice.offset, &bytes);
            rest = tail;
        }
    }
    wait(gpu)
}

/// Steps of a sample: a submission's own cost is spread over them.
const STEPS: u32 = 20;

fn step(gpu: &Gpu, optimizer: &mut Optimizer) -> Result<f64, Box<dyn Error>> {
    let seconds = median(|| {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        for _ in 0..STEPS {
            optimizer.step(&mut encoder)?;
        }
        gpu.queue.submit([encoder.finish()]);
        wait(gpu)
    })?;
    Ok(seconds / f64::from(STEPS))
}

pub fn wait(gpu: &Gpu) -> Result<(), Box<dyn Error>> {
    gpu.queue.submit([]);
    gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(())
}

/// The median of samples.
pub fn median(mut run: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let (mut samples, begin) = (Vec::new(), Instant::now());
    while samples.len() < 3 || begin.elapsed() < SAMPLE && samples.len() < 1000 {
        let began = Instant::now();
        run()?;
        samples.push(began.elapsed().as_secs_f64());
    }
    samples.sort_by(f64::total_cmp);
    Ok(samples[samples.len() / 2])
}
