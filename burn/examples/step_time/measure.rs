//! Samples of all in turn, so that what disturbs the machine for longer than a sample disturbs all.

use std::time::{Duration, Instant};

use burn::tensor::Device;

use crate::{
    K,
    contender::{Contender, Failure},
    weights::Gradients,
};

/// Least seconds of a sample: the wait at its end is spread over its steps.
const SAMPLE: f64 = 0.05;
/// Cycles in a sample at most.
const MOST: u32 = 200;
/// Samples of each at least.
const LEAST: usize = 3;
/// Cycles before the first sample: Burn compiles its kernels in them.
const WARM_UP: u32 = 3;

/// Seconds a step, by contender.
pub type Samples = Vec<Vec<f64>>;

pub fn in_turn(
    contenders: &mut [Box<dyn Contender>],
    gradients: &Gradients,
    device: &Device,
    each: Duration,
) -> Result<Samples, Failure> {
    let sample = |one: &mut Box<dyn Contender>, cycles: u32| -> Result<f64, Failure> {
        let begin = Instant::now();
        for _ in 0..cycles * K {
            one.step(gradients)?;
        }
        device.sync().map_err(|problem| format!("Burn: {problem}"))?;
        Ok(begin.elapsed().as_secs_f64())
    };
    let mut cycles = vec![];
    for one in contenders.iter_mut() {
        sample(one, WARM_UP)?;
        cycles.push((SAMPLE / sample(one, 1)?).ceil().clamp(1.0, f64::from(MOST)) as u32);
    }
    let mut of = vec![vec![]; contenders.len()];
    let begin = Instant::now();
    while of[0].len() < LEAST || begin.elapsed() < each * contenders.len() as u32 {
        for ((one, cycles), samples) in contenders.iter_mut().zip(&cycles).zip(&mut of) {
            samples.push(sample(one, *cycles)? / f64::from(cycles * K));
        }
    }
    Ok(of)
}
