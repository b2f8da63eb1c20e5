//! Timing on a machine that does other things too: samples of works in turn, and medians.

use std::time::{Duration, Instant};

use lookahead_wgpu::{gpu::Gpu, wgpu};

use crate::{
    Failure,
    statistics::{median, spread},
};

/// Records one unit of something to be timed: a cycle of steps, say.
pub type Work = Box<dyn FnMut(&mut wgpu::CommandEncoder) -> Result<(), Failure>>;

/// How long to measure.
pub struct Effort {
    /// Least time of a sample: a submission's own cost is spread over its units.
    pub sample: Duration,
    /// Least time of all samples of a row.
    pub pair: Duration,
    /// Least number of samples of each work of a row.
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

/// Samples of several works, taken in turn.
pub struct Samples {
    /// Seconds a unit, by work.
    pub of: Vec<Vec<f64>>,
}

impl Samples {
    /// Takes samples a b c a b c ...; what disturbs the machine for longer than a sample disturbs all.
    pub fn measure(gpu: &Gpu, works: &mut [&mut Work], effort: &Effort) -> Result<Self, Failure> {
        let units = works.iter_mut().map(|work| units(gpu, work, effort)).collect::<Result<Vec<_>, _>>()?;
        let mut of = vec![vec![]; works.len()];
        let begin = Instant::now();
        while of[0].len() < effort.least || begin.elapsed() < effort.pair {
            for ((work, units), samples) in works.iter_mut().zip(&units).zip(&mut of) {
                samples.push(sample(gpu, work, *units)?);
            }
        }
        Ok(Self { of })
    }

    /// The median of work `a`'s time over work `b`'s, sample by sample.
    pub fn ratio(&self, a: usize, b: usize) -> f64 {
        median(&self.ratios(a, b))
    }

    /// The middle half of those ratios: how far its ends are apart, relative to the median.
    pub fn spread(&self, a: usize, b: usize) -> f64 {
        spread(&self.ratios(a, b))
    }

    fn ratios(&self, a: usize, b: usize) -> Vec<f64> {
        self.of[a].iter().zip(&self.of[b]).map(|(a, b)| a / b).collect()
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
