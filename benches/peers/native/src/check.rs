//! Whether an optimizer is Adam, or Lookahead around it, at all: a benchmark of a wrong one is worth nothing.

use crate::{
    peer::{Failure, Peer},
    tensors::{Tensors, noise},
};

/// Beyond two cycles, so that what comes after a sync is seen, too.
pub const STEPS: u32 = 11;

/// The largest error that is rounding: relative to values above one.
const TOLERANCE: f64 = 1e-5;

/// Of every rank that is timed, and of lengths that are no multiples of a vector.
pub fn tensors() -> Tensors {
    Tensors { shapes: vec![vec![4, 3, 3, 3], vec![7, 5], vec![13]] }
}

/// The weights after some steps, each with another gradient: with the same one in each, Adam's moments would cancel.
pub fn weights(peer: &mut dyn Peer) -> Result<Vec<Vec<f32>>, Failure> {
    let tensors = tensors();
    for step in 0..STEPS {
        let gradients: Vec<Vec<f32>> = (0..tensors.shapes.len())
            .map(|tensor| gradient(tensors.len(tensor), 1000 + 10 * u64::from(step) + tensor as u64))
            .collect();
        peer.set_gradients(&gradients)?;
        peer.step(1)?;
    }
    peer.weights()
}

/// Of many magnitudes, down to where epsilon decides.
fn gradient(len: usize, seed: u64) -> Vec<f32> {
    let noise = noise(len, seed).into_iter().enumerate();
    noise.map(|(place, value)| value * 10f32.powi(-((place % 9) as i32))).collect()
}

/// The largest error of weights; one that is more than rounding ends the benchmark.
pub fn compare(name: &str, found: &[Vec<f32>], ours: &[Vec<f32>]) -> Result<f64, Failure> {
    let lens = |weights: &[Vec<f32>]| weights.iter().map(Vec::len).collect::<Vec<_>>();
    if lens(found) != lens(ours) {
        return Err(format!("{name} has tensors of {:?} values, not {:?}", lens(found), lens(ours)).into());
    }
    let error = |found: f32, ours: f32| {
        let error = f64::from((found - ours).abs()) / f64::from(ours.abs()).max(1.0);
        if error.is_nan() { f64::INFINITY } else { error }
    };
    let pairs = found.iter().flatten().zip(ours.iter().flatten());
    let (worst, found, ours) = pairs
        .map(|(found, ours)| (error(*found, *ours), *found, *ours))
        .fold((0.0, 0.0, 0.0), |worst, pair| if pair.0 > worst.0 { pair } else { worst });
    if worst > TOLERANCE {
        return Err(format!(
            "{name} computes something else than this library: after {STEPS} steps a weight is {found}, not {ours} \
             (an error of {worst:.1e}; {TOLERANCE:.0e} is allowed), so that its time says nothing"
        )
        .into());
    }
    Ok(worst)
}
