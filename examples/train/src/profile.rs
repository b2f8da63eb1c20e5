//! Where the time of a training step goes.
//!
//! By the GPU's own clock where it has one that can be read: between the parts of a step lie compute passes with nothing
//! in them but a timestamp. Any adapter with timestamps can do that; those in an encoder, around the optimizer's own
//! pass, Apple's GPUs and browsers do not have. Elsewhere each part is submitted by itself, and the host waits for it.

use crate::device::{ModelError, checked};
use crate::reading::Reading;
use lookahead_wgpu::gpu::{Gpu, Pipelines};
use lookahead_wgpu::wgpu;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// Batches of a command buffer that are timed together, at most.
pub const MOST_BATCHES: u32 = 16;
/// Parts of a batch.
const PARTS: u32 = 3;

/// What the device does for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// From the images to the loss.
    Forward,
    /// From the loss to the gradients.
    Backward,
    /// The optimizer, where the batch does not end a step.
    Accumulation,
    /// The optimizer's step.
    Step,
    /// One with a sync.
    Sync,
}

/// What tells the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// The device's.
    Timestamps,
    /// The host's, which waits for the device after each part.
    Host,
}

/// What the optimizer does for a batch, and how long it takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// `accumulation`, `step` or `step with sync`.
    pub kind: &'static str,
    /// Batches with such a call.
    pub batches: usize,
    /// The median.
    pub seconds: f64,
}

/// Seconds that a batch takes: medians.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// What was read.
    pub clock: Clock,
    /// Batches that were timed.
    pub batches: usize,
    /// From the images to the loss.
    #[serde(rename = "forward_seconds")]
    pub forward: f64,
    /// From the loss to the gradients.
    #[serde(rename = "backward_seconds")]
    pub backward: f64,
    /// The mean of its calls' medians, each with its share of the batches.
    #[serde(rename = "optimizer_seconds")]
    pub optimizer: f64,
    /// What the rest of the time is: recording and submitting, while the device waits, and noticing its end.
    #[serde(rename = "host_seconds")]
    pub host: f64,
    /// The optimizer's calls by kind.
    pub calls: Vec<Call>,
}

impl Profile {
    /// All of a batch's time.
    pub fn total(&self) -> f64 {
        self.forward + self.backward + self.optimizer + self.host
    }
}

/// The same adapter's device with timestamps, where it has them.
pub fn with_timestamps(gpu: Gpu) -> Result<Gpu, wgpu::RequestDeviceError> {
    if !gpu.adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        return Ok(gpu);
    }
    let (device, queue) = pollster::block_on(gpu.adapter.request_device(&wgpu::DeviceDescriptor {
        label: Some("train"),
        required_features: wgpu::Features::TIMESTAMP_QUERY,
        required_limits: gpu.device.limits(),
        ..Default::default()
    }))?;
    Ok(Gpu { device, queue, pipelines: Pipelines::default(), ..gpu })
}

/// Takes the time of parts of command buffers.
pub struct Stopwatch {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// Where the device has timestamps.
    queries: Option<Queries>,
    began: Instant,
    /// The parts of the command buffer under way, with the host's time where that counts.
    laps: Vec<(Part, f64)>,
    seconds: BTreeMap<Part, Vec<f64>>,
    host: Vec<f64>,
}

struct Queries {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Seconds of a tick.
    period: f64,
}

impl Queries {
    const COUNT: u32 = 1 + PARTS * MOST_BATCHES;

    async fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Self, ModelError> {
        let bytes = u64::from(Self::COUNT) * u64::from(wgpu::QUERY_SIZE);
        checked(device, "making room for timestamps", || Self {
            set: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("profile"),
                ty: wgpu::QueryType::Timestamp,
                count: Self::COUNT,
            }),
            resolved: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: bytes,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
            period: f64::from(queue.get_timestamp_period()) * 1e-9,
        })
        .await
    }

    /// Records that the time is taken once all before it is done.
    fn write(&self, encoder: &mut wgpu::CommandEncoder, index: usize) {
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("timestamp"),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &self.set,
                beginning_of_pass_write_index: Some(index as u32),
                end_of_pass_write_index: None,
            }),
        });
    }
}

impl Stopwatch {
    /// One for this device.
    pub async fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Self, ModelError> {
        let queries = match device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            true => Some(Queries::new(device, queue).await?),
            false => None,
        };
        Ok(Self {
            device: device.clone(),
            queue: queue.clone(),
            queries,
            began: Instant::now(),
            laps: Vec::new(),
            seconds: BTreeMap::new(),
            host: Vec::new(),
        })
    }

    /// Begins a command buffer, once the device is idle.
    pub fn begin(&mut self) -> Result<wgpu::CommandEncoder, ModelError> {
        self.wait()?;
        self.laps.clear();
        self.began = Instant::now();
        let mut encoder = self.encoder();
        if let Some(queries) = &self.queries {
            queries.write(&mut encoder, 0);
        }
        Ok(encoder)
    }

    /// What was recorded since the last lap is this part.
    pub fn lap(&mut self, encoder: &mut wgpu::CommandEncoder, part: Part) -> Result<(), ModelError> {
        let mut seconds = 0.0;
        match &self.queries {
            Some(queries) => queries.write(encoder, self.laps.len() + 1),
            None => {
                let recorded = Instant::now();
                let part = std::mem::replace(encoder, self.encoder());
                self.queue.submit([part.finish()]);
                self.wait()?;
                seconds = recorded.elapsed().as_secs_f64();
            }
        }
        self.laps.push((part, seconds));
        Ok(())
    }

    /// Submits what was recorded for so many batches, and takes the times of its parts.
    pub async fn end(&mut self, mut encoder: wgpu::CommandEncoder, batches: usize) -> Result<(), ModelError> {
        let reading = match &self.queries {
            Some(Queries { set, resolved, .. }) => {
                let count = self.laps.len() as u32 + 1;
                encoder.resolve_query_set(set, 0..count, resolved, 0);
                let bytes = u64::from(count) * u64::from(wgpu::QUERY_SIZE);
                Some(Reading::new(&self.device, &mut encoder, resolved, 0, bytes).await?)
            }
            None => None,
        };
        self.queue.submit([encoder.finish()]);
        self.wait()?;
        let all = self.began.elapsed().as_secs_f64();
        if let (Some(reading), Some(Queries { period, .. })) = (reading, &self.queries) {
            let words = reading.finish().await?;
            let ticks: Vec<u64> =
                words.chunks_exact(2).map(|word| u64::from(word[0]) | u64::from(word[1]) << 32).collect();
            for ((_, seconds), pair) in self.laps.iter_mut().zip(ticks.windows(2)) {
                *seconds = pair[1].wrapping_sub(pair[0]) as f64 * period;
            }
        }
        let parts: f64 = self.laps.iter().map(|(_, seconds)| seconds).sum();
        self.host.push((all - parts) / batches as f64);
        for (part, seconds) in self.laps.drain(..) {
            self.seconds.entry(part).or_default().push(seconds);
        }
        Ok(())
    }

    /// What it came to, if anything was timed.
    pub fn profile(&self) -> Option<Profile> {
        let of = |part: Part| self.seconds.get(&part).map_or(&[][..], Vec::as_slice);
        let kinds =
            [("accumulation", Part::Accumulation), ("step", Part::Step), ("step with sync", Part::Sync)];
        let calls = kinds.into_iter().filter_map(|(kind, part)| {
            Some(Call { kind, batches: of(part).len(), seconds: median(of(part))? })
        });
        let calls: Vec<_> = calls.collect();
        let batches = of(Part::Forward).len();
        let share = |call: &Call| call.seconds * call.batches as f64 / batches as f64;
        Some(Profile {
            clock: if self.queries.is_some() { Clock::Timestamps } else { Clock::Host },
            batches,
            forward: median(of(Part::Forward))?,
            backward: median(of(Part::Backward))?,
            optimizer: calls.iter().map(share).sum(),
            host: median(&self.host)?,
            calls,
        })
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    fn wait(&self) -> Result<(), ModelError> {
        let failed = |problem: wgpu::PollError| ModelError::Device {
            doing: "waiting for its work",
            message: problem.to_string(),
        };
        self.device.poll(wgpu::PollType::wait_indefinitely()).map(|_| ()).map_err(failed)
    }
}

/// The middle of some values, if there are any.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
