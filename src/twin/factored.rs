//! The f64 twin of the second moments that the driver keeps, one tensor at a time.

use crate::{
    plan::factored::dimensions,
    rules::{Factored, maximum},
};

/// A tensor's moment at the start: rows and columns, or the whole.
pub fn initial(shape: &[usize], factored: &Factored) -> Vec<Vec<f64>> {
    let values: usize = shape.iter().product();
    match dimensions(shape, factored.least_dimension) {
        None => vec![vec![0.0; values]],
        Some((second, largest)) => {
            vec![vec![0.0; values / shape[largest]], vec![0.0; values / shape[second]]]
        }
    }
}

/// Moves the moment on, and gives what the rule is given.
pub fn normalised(
    factored: &Factored,
    shape: &[usize],
    gradient: &[f64],
    weights: &[f64],
    moment: &mut [Vec<f64>],
) -> Vec<f64> {
    let squares: Vec<f64> = gradient.iter().map(|g| g * g + factored.eps).collect();
    let move_on = |moment: &mut Vec<f64>, squares: Vec<f64>| {
        for (v, square) in moment.iter_mut().zip(squares) {
            *v = factored.decay * *v + (1.0 - factored.decay) * square;
        }
    };
    let mut u: Vec<f64> = match dimensions(shape, factored.least_dimension) {
        None => {
            move_on(&mut moment[0], squares);
            gradient.iter().zip(&moment[0]).map(|(g, v)| g / v.sqrt()).collect()
        }
        Some((second, largest)) => {
            move_on(&mut moment[0], mean(&squares, shape, largest));
            move_on(&mut moment[1], mean(&squares, shape, second));
            let mut rest = shape.to_vec();
            rest.remove(largest);
            let reduced = if second > largest { second - 1 } else { second };
            let means = mean(&moment[0], &rest, reduced);
            let at = |(value, g): (usize, &f64)| {
                let row = without(value, shape, largest);
                let estimate = moment[0][row] / means[without(row, &rest, reduced)];
                g / (estimate * moment[1][without(value, shape, second)]).sqrt()
            };
            gradient.iter().enumerate().map(at).collect()
        }
    };
    let rms =
        |values: &[f64]| (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt();
    let clipped = factored.clipping_threshold.map_or(1.0, |threshold| maximum(rms(&u) / threshold, 1.0));
    let scale = if factored.scales_by_weights { maximum(rms(weights), 1e-3) } else { 1.0 };
    u.iter_mut().for_each(|u| *u *= scale / clipped);
    u
}

/// The means over one dimension.
fn mean(values: &[f64], shape: &[usize], dimension: usize) -> Vec<f64> {
    let mut means = vec![0.0; values.len() / shape[dimension]];
    for (index, value) in values.iter().enumerate() {
        means[without(index, shape, dimension)] += value / shape[dimension] as f64;
    }
    means
}

/// A value's place without one dimension, from its index in each.
fn without(value: usize, shape: &[usize], dimension: usize) -> usize {
    let mut rest = value;
    let mut indices: Vec<usize> = shape
        .iter()
        .rev()
        .map(|size| {
            let index = rest % size;
            rest /= size;
            index
        })
        .collect();
    indices.reverse();
    let kept = indices.iter().zip(shape).enumerate().filter(|(other, _)| *other != dimension);
    kept.fold(0, |place, (_, (index, size))| place * size + index)
}
