//! How fast a measured run without noise contracts.

use crate::simulate::{SimulationError, Simulator};
use lookahead_wgpu::analysis::Descent;
use lookahead_wgpu::{Lookahead, StatePolicy};

/// Cycles that are looked at. A run alone is looked at as often.
pub const CYCLES: u32 = 24;
/// Smaller values have lost digits to f32's range.
const LEAST: f64 = 1e-30;
/// Squared rounding errors of f32, and some room: what is below it is no second mode.
const NOISE: f64 = 1e-12;

/// The factor by which the slowest of these coordinates shrinks in an inner step, measured with the optimizer: from
/// the weights after every `period` steps, of which each coordinate's obey a linear recurrence of two terms.
pub fn measured_rate(
    simulator: &Simulator<'_>,
    descent: Descent,
    lookahead: Option<Lookahead>,
    curvatures: &[f64],
    period: u32,
) -> Result<f64, SimulationError> {
    let start = vec![1.0; curvatures.len()];
    let (period, cycles) = (u64::from(period), u64::from(CYCLES));
    let records = simulator.trace(curvatures, &start, descent, lookahead, period, cycles * period)?;
    // A state that is reset is forgotten: one term is left.
    let has_two_terms =
        descent.momentum != 0.0 && lookahead.is_none_or(|lookahead| lookahead.policy != StatePolicy::Reset);
    let radius = |coordinate: usize| {
        let sequence: Vec<_> = records.iter().map(|record| record[coordinate]).collect();
        if has_two_terms { two_terms(&sequence) } else { one_term(&sequence) }
    };
    let worst = (0..curvatures.len()).map(radius).fold(0.0, f64::max);
    Ok(worst.powf(1.0 / period as f64))
}

/// |s| of `x_(n+1) = s x_n`: the geometric mean of the quotients.
pub fn one_term(sequence: &[f64]) -> f64 {
    let usable: Vec<_> =
        sequence.iter().map(|value| value.abs()).take_while(|value| *value > LEAST).collect();
    match usable[..] {
        [first, .., last] => (last / first).powf(1.0 / (usable.len() - 1) as f64),
        _ => 0.0,
    }
}

/// The larger absolute root of `z^2 = t z - d` where `x_(n+2) = t x_(n+1) - d x_n` (Prony 1795), by least
/// squares; each equation weighs the same, however small its values have become.
pub fn two_terms(sequence: &[f64]) -> f64 {
    let (mut aa, mut ab, mut bb, mut ac, mut bc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for window in sequence.windows(3) {
        let size = window.iter().fold(0.0, |size: f64, value| size.max(value.abs()));
        if size < LEAST {
            break;
        }
        let (a, b, c) = (window[1] / size, -window[0] / size, window[2] / size);
        aa += a * a;
        ab += a * b;
        bb += b * b;
        ac += a * c;
        bc += b * c;
    }
    let (half_trace, determinant) = (0.5 * (aa + bb), aa * bb - ab * ab);
    if half_trace == 0.0 {
        return 0.0;
    }
    let (trace, product) = if determinant > NOISE * half_trace * half_trace {
        ((ac * bb - bc * ab) / determinant, (bc * aa - ac * ab) / determinant)
    } else {
        // One mode is all there is to see: the shortest of the solutions, whose second root is the smaller one.
        let largest = 2.0 * half_trace;
        (ac / largest, bc / largest)
    };
    let discriminant = 0.25 * trace * trace - product;
    if discriminant < 0.0 { product.sqrt() } else { 0.5 * trace.abs() + discriminant.sqrt() }
}
