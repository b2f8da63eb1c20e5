//! Where the loss is least, by Newton's method in f64.

use crate::data::{Data, FEATURES};

/// Steps that are enough from anywhere near 0.
const STEPS: usize = 40;

/// The weights that minimise `1/n sum_i log(1 + exp(-y_i x_i w)) + lambda/2 |w|^2`.
pub fn minimum(data: &Data, lambda: f64) -> [f64; FEATURES] {
    let mut w = [0.0; FEATURES];
    for _ in 0..STEPS {
        let step = solve(hessian(data, &w, lambda), gradient(data, &w, lambda));
        w.iter_mut().zip(step).for_each(|(w, step)| *w -= step);
    }
    w
}

/// The loss's gradient over all samples.
pub fn gradient(data: &Data, w: &[f64; FEATURES], lambda: f64) -> [f64; FEATURES] {
    let mut gradient = w.map(|w| lambda * w);
    for (x, y) in data.features.iter().zip(&data.labels) {
        let slope = -y / (1.0 + (y * dot(x, w)).exp()) / data.samples() as f64;
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g += slope * x);
    }
    gradient
}

fn hessian(data: &Data, w: &[f64; FEATURES], lambda: f64) -> [[f64; FEATURES]; FEATURES] {
    let mut hessian = [[0.0; FEATURES]; FEATURES];
    for x in &data.features {
        let p = 1.0 / (1.0 + (-dot(x, w)).exp());
        let weight = p * (1.0 - p) / data.samples() as f64;
        for (row, a) in hessian.iter_mut().zip(x) {
            row.iter_mut().zip(x).for_each(|(entry, b)| *entry += weight * a * b);
        }
    }
    (0..FEATURES).for_each(|i| hessian[i][i] += lambda);
    hessian
}

fn dot(a: &[f64; FEATURES], b: &[f64; FEATURES]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gaussian elimination, of a matrix whose pivots are all above 0.
fn solve(mut a: [[f64; FEATURES]; FEATURES], mut b: [f64; FEATURES]) -> [f64; FEATURES] {
    for i in 0..FEATURES {
        let (pivot, right) = (a[i], b[i]);
        for row in i + 1..FEATURES {
            let factor = a[row][i] / pivot[i];
            a[row].iter_mut().zip(&pivot).for_each(|(entry, above)| *entry -= factor * above);
            b[row] -= factor * right;
        }
    }
    for i in (0..FEATURES).rev() {
        let known: f64 = (i + 1..FEATURES).map(|j| a[i][j] * b[j]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}
