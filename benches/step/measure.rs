//! Timing on a machine that does other things too: samples of two works in turn, and medians.

use std::time::{Duration, Instant};

use lookahead_wgpu::{gpu::Gpu, wgpu};

use crate::Failure;

/// Records one unit of something to be timed: a cycle of steps, say.
pub type Work = Box<dyn FnMut(&mut wgpu::CommandEncoder) -> Result<(), Failure>>;

/// How long to measure.
pub struct Effort {
    /// Least time of a sample: a submission's own cost is spread over its units.
    pub sample: Duration,
    /// Least time of all samples of a pair.
    pub pair: Duration,
    /// Least number of samples of each of a pair.
    pub least: usize,
    /// Encoders of steps to record on the host.
    pub encoders: usize,
}

impl Effort {
    pub const FULL: Self =
        Self { sample: Duration::from_millis(50), pair: Duration::from_secs(1), least: 3, encoders: 51 };
    pub const QUICK: Self =
        Self { sample: Duration::from_millis(5), pair: Duration::from_millis(50), least: 2, encoders: 5 };
}

/// Units in a sample at most, so that a sample's commands stay few.
const MAX_UNITS: u32 = 200;

/// Samples of two works, taken in turn.
pub struct Pair {
    /// Seconds a unit of the first.
    pub a: Vec<f64>,
    /// Seconds a unit of the second.
    pub b: Vec<f64>,
}

impl Pair {
    /// Takes samples a b a b ...; what disturbs the machine for longer than a sample disturbs both.
    pub fn measure(gpu: &Gpu, a: &mut Work, b: &mut Work, effort: &Effort) -> Result<Self, Failure> {
        let units = [units(gpu, a, effort)?, units(gpu, b, effort)?];
        let mut pair = Self { a: vec![], b: vec![] };
        let begin = Instant::now();
        while pair.a.len() < effort.least || begin.elapsed() < effort.pair {
            pair.a.push(sample(gpu, a, units[0])?);
            pair.b.push(sample(gpu, b, units[1])?);
        }
        Ok(pair)
    }

    /// The median of b / a, sample by sample.
    pub fn ratio(&self) -> f64 {
        median(&self.ratios())
    }

    /// The middle half of the ratios: how far its ends are apart, relative to the median.
    pub fn spread(&self) -> f64 {
        let ratios = self.ratios();
        (quantile(&ratios, 0.75) - quantile(&ratios, 0.25)) / median(&ratios)
    }

    fn ratios(&self) -> Vec<f64> {
        self.a.iter().zip(&self.b).map(|(a, b)| b / a).collect()
    }
}

/// Warms up, and finds how many units make a sample.
fn units(gpu: &Gpu, work: &mut Work, effort: &Effort) -> Result<u32, Failure> {
    let least = effort.sample.as_secs_f64();
    let mut unit = sample(gpu, work, 1)?;
    // The first unit pays for what is done once, so that only a later one can say how many are few.
    if unit < 10.0 * least {
        unit = sample(gpu, work, 1)?;
    }
    Ok((least / unit).ceil().clamp(1.0, f64::from(MAX_UNITS)) as u32)
}

/// Seconds a unit, from recording to the end of the wait.
fn sample(gpu: &Gpu, work: &mut Work, units: u32) -> Result<f64, Failure> {
    let begin = Instant::now();
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    for _ in 0..units {
        work(&mut encoder)?;
    }
    gpu.queue.submit([encoder.finish()]);
    gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(begin.elapsed().as_secs_f64() / f64::from(units))
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Between two values, the point on the line between them.
fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = at * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}
