//! Anderson acceleration in f64.

/// The coefficients of the residuals between these points, each and the next: none where nothing moved or the system
/// cannot be solved.
pub(super) fn coefficients(path: &[Vec<f64>], regularisation: f64) -> Option<Vec<f64>> {
    let residual = |pair: &[Vec<f64>]| pair[1].iter().zip(&pair[0]).map(|(to, from)| to - from).collect();
    let residuals: Vec<Vec<f64>> = path.windows(2).map(residual).collect();
    let dot = |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let trace: f64 = residuals.iter().map(|residual| dot(residual, residual)).sum();
    if trace == 0.0 {
        return None;
    }
    let row = |(index, a)| {
        let mut row: Vec<f64> = residuals.iter().map(|b| dot(a, b) / trace).collect();
        row[index] += regularisation;
        row
    };
    let z = solved(residuals.iter().enumerate().map(row).collect())?;
    let total: f64 = z.iter().sum();
    let found: Vec<f64> = z.iter().map(|value| value / total).collect();
    found.iter().all(|value| value.is_finite()).then_some(found)
}

/// z of `A z = 1`, by Cholesky's factors of A.
fn solved(mut a: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = a.len();
    for column in 0..n {
        for row in column..n {
            let before: f64 = (0..column).map(|k| a[row][k] * a[column][k]).sum();
            let entry = a[row][column] - before;
            a[row][column] = if row > column {
                entry / a[column][column]
            } else if entry > 0.0 {
                entry.sqrt()
            } else {
                return None;
            };
        }
    }
    let mut z = vec![1.0; n];
    for row in 0..n {
        let before: f64 = (0..row).map(|k| a[row][k] * z[k]).sum();
        z[row] = (z[row] - before) / a[row][row];
    }
    for row in (0..n).rev() {
        let below: f64 = (row + 1..n).map(|k| a[k][row] * z[k]).sum();
        z[row] = (z[row] - below) / a[row][row];
    }
    Some(z)
}

/// The combination of the points of a path.
pub(super) fn combined(path: &[&[f64]], coefficients: &[f64], alpha: f64) -> Vec<f64> {
    let term =
        |index: usize, pair: &[&[f64]], c: f64| c * ((1.0 - alpha) * pair[0][index] + alpha * pair[1][index]);
    let value = |index: usize| path.windows(2).zip(coefficients).map(|(pair, c)| term(index, pair, *c)).sum();
    (0..path[0].len()).map(value).collect()
}
