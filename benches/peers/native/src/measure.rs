//! Timing on a machine that does other things too: samples of all in turn, and medians.

use std::time::{Duration, Instant};

use crate::{
    contender::Contender,
    peer::{Failure, K},
};

/// Least time of a sample: waiting for its end is spread over its steps.
const SAMPLE: f64 = 0.05;
/// Cycles in a sample at most.
const MOST: u32 = 200;
/// Samples of each at least.
const LEAST: usize = 3;
/// Cycles before the first sample: Burn compiles its kernels in them, and tries which are quickest.
const WARM_UP: u32 = 3;

/// Samples of several, taken in turn.
pub struct Samples {
    /// Seconds a step, by contender.
    pub of: Vec<Vec<f64>>,
}

/// Takes samples a b c a b c ...; what disturbs the machine for longer than a sample disturbs all.
pub fn in_turn(contenders: &mut [&mut dyn Contender], each: Duration) -> Result<Samples, Failure> {
    let cycles = contenders.iter_mut().map(|one| cycles(*one)).collect::<Result<Vec<_>, _>>()?;
    let mut of = vec![vec![]; contenders.len()];
    let begin = Instant::now();
    while of[0].len() < LEAST || begin.elapsed() < each * contenders.len() as u32 {
        for ((contender, cycles), samples) in contenders.iter_mut().zip(&cycles).zip(&mut of) {
            samples.push(contender.sample(*cycles)? / f64::from(cycles * K));
        }
    }
    Ok(Samples { of })
}

/// Warms up, and finds how many cycles make a sample.
fn cycles(contender: &mut dyn Contender) -> Result<u32, Failure> {
    contender.sample(WARM_UP)?;
    let cycle = contender.sample(1)?;
    Ok((SAMPLE / cycle).ceil().clamp(1.0, f64::from(MOST)) as u32)
}

impl Samples {
    /// One's time over another's, sample by sample.
    pub fn ratios(&self, a: usize, b: usize) -> Vec<f64> {
        self.of[a].iter().zip(&self.of[b]).map(|(a, b)| a / b).collect()
    }
}
