//! The line that fits: what is fixed, what a parameter adds, what a tensor adds.

use nalgebra::{DMatrix, DVector};
use serde::Serialize;

/// Seconds: `fixed + parameter * parameters + tensor * tensors`, none of them below 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Line {
    pub fixed: f64,
    pub parameter: f64,
    pub tensor: f64,
    /// The largest error of a point, relative to its time.
    pub misfit: f64,
}

impl Line {
    /// Least squares of relative errors, since times are of all sizes. A coefficient that comes out negative is 0.
    pub fn fit(points: &[([f64; 2], f64)]) -> Self {
        let mut used = vec![0, 1, 2];
        let found = loop {
            let terms = |([parameters, tensors], seconds): &([f64; 2], f64), term: usize| {
                [1.0, *parameters, *tensors][term] / seconds
            };
            let matrix =
                DMatrix::from_fn(points.len(), used.len(), |row, column| terms(&points[row], used[column]));
            // Terms of very different sizes are solved for better where each column is of length 1.
            let lengths: Vec<f64> = matrix.column_iter().map(|column| column.norm()).collect();
            let scaled = DMatrix::from_fn(points.len(), used.len(), |row, column| {
                matrix[(row, column)] / lengths[column]
            });
            let ones = DVector::from_element(points.len(), 1.0);
            let Ok(solved) = scaled.svd(true, true).solve(&ones, 1e-12) else { break [0.0; 3] };
            let worst = (0..used.len())
                .filter(|at| solved[*at] < 0.0)
                .min_by(|a, b| solved[*a].total_cmp(&solved[*b]));
            if let Some(worst) = worst {
                used.remove(worst);
                continue;
            }
            let mut found = [0.0; 3];
            for (at, term) in used.iter().enumerate() {
                found[*term] = solved[at] / lengths[at];
            }
            break found;
        };
        let [fixed, parameter, tensor] = found;
        let at = |[parameters, tensors]: [f64; 2]| fixed + parameter * parameters + tensor * tensors;
        let errors = points.iter().map(|(size, seconds)| (at(*size) / seconds - 1.0).abs());
        Self { fixed, parameter, tensor, misfit: errors.fold(0.0, f64::max) }
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn a_line_is_found_again() {
        let sizes = [1e3, 1e5, 1e8].map(|parameters| [parameters, 1.0]);
        let sizes = sizes.into_iter().chain([10.0, 1e4].map(|tensors| [256.0 * tensors, tensors]));
        let points: Vec<_> =
            sizes.map(|[parameters, tensors]| ([parameters, tensors], 1e-4 + 1e-9 * parameters)).collect();
        let line = Line::fit(&points);
        assert!(
            (line.fixed / 1e-4 - 1.0).abs() < 1e-6 && (line.parameter / 1e-9 - 1.0).abs() < 1e-6,
            "{line:?}"
        );
        assert!((0.0..1e-12).contains(&line.tensor) && line.misfit < 1e-6, "{line:?}");
    }
}
