//! The best slow step size on a quadratic (Proposition 1 of the paper).

use crate::{Error, error::check_hyperparameter};

/// A convex quadratic `L(x) = 1/2 x'Ax - b'x`, with a dense or diagonal A.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadratic {
    a: Matrix,
    b: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Matrix {
    /// Row by row.
    Dense(Vec<f64>),
    Diagonal(Vec<f64>),
}

impl Quadratic {
    /// With the symmetric positive definite matrix `a`, row by row, and the vector `b`.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] where `b` is empty, `a` has not as many rows and columns as `b` has values, a value is not
    /// finite, or `a` is not symmetric and positive definite.
    pub fn new(a: &[f64], b: &[f64]) -> Result<Self, Error> {
        let n = b.len();
        if n == 0 || n.checked_mul(n) != Some(a.len()) {
            let values = a.len();
            return refuse(format!(
                "b has {n} values, so A must have {n} x {n} (n at least 1), not {values}"
            ));
        }
        check_finite(a, b)?;
        for i in 0..n {
            for j in 0..i {
                let (lower, upper) = (a[i * n + j], a[j * n + i]);
                // Products such as Q'DQ are symmetric but for rounding.
                if (lower - upper).abs() > 1e-12 * (a[i * n + i] * a[j * n + j]).abs().sqrt() {
                    return refuse(format!(
                        "A is not symmetric: A[{i}][{j}] = {lower}, A[{j}][{i}] = {upper}"
                    ));
                }
            }
        }
        match indefinite_row(a, n) {
            Some(row) => refuse(indefinite(row)),
            None => Ok(Self { a: Matrix::Dense(a.to_vec()), b: b.to_vec() }),
        }
    }

    /// With the diagonal matrix `diag(a)`.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn diagonal(a: &[f64], b: &[f64]) -> Result<Self, Error> {
        let n = b.len();
        if n == 0 || a.len() != n {
            let values = a.len();
            return refuse(format!("b has {n} values, so diag(A) must have {n} (at least 1), not {values}"));
        }
        check_finite(a, b)?;
        match a.iter().position(|value| *value <= 0.0) {
            Some(row) => refuse(indefinite(row)),
            None => Ok(Self { a: Matrix::Diagonal(a.to_vec()), b: b.to_vec() }),
        }
    }

    /// `L(x)`.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] where `x` has another number of values than `b`.
    pub fn loss(&self, x: &[f64]) -> Result<f64, Error> {
        self.check("x", x)?;
        Ok(0.5 * dot(x, &self.times(x)) - dot(&self.b, x))
    }

    /// The gradient `Ax - b`.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] where `x` has another number of values than `b`.
    pub fn gradient(&self, x: &[f64]) -> Result<Vec<f64>, Error> {
        self.check("x", x)?;
        Ok(self.times(x).iter().zip(&self.b).map(|(ax, b)| ax - b).collect())
    }

    /// The alpha for which the loss of `theta_0 + alpha (theta_k - theta_0)` is smallest (Proposition 1):
    ///
    /// ```text
    /// alpha* = (theta_0 - theta*)' A (theta_0 - theta_k) / ((theta_0 - theta_k)' A (theta_0 - theta_k))
    /// ```
    ///
    /// The minimum theta* need not be known, since `A (theta_0 - theta*)` is the gradient at theta_0.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] where a point has another number of values than `b`, or both are the same point.
    pub fn best_alpha(&self, theta_0: &[f64], theta_k: &[f64]) -> Result<f64, Error> {
        self.check("theta_k", theta_k)?;
        let gradient = self.gradient(theta_0)?;
        let step: Vec<_> = theta_k.iter().zip(theta_0).map(|(end, start)| end - start).collect();
        ratio(-dot(&gradient, &step), dot(&step, &self.times(&step)))
    }

    /// The paper's estimate with a diagonal curvature Â, as the optimizer's
    /// [adaptive alpha](crate::AdaptiveAlpha) finds it: with g the gradient at theta_k and `d = theta_k - theta_0`,
    ///
    /// ```text
    /// alpha^ = clip(1 - g'd / (d'Âd), alpha_low, 1)
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`best_alpha`](Self::best_alpha); [`Error::Hyperparameter`] for `alpha_low`; [`Error::Model`] where
    /// `curvature` has another number of values than `b`, or `d'Âd` is no positive number.
    pub fn estimated_alpha(
        &self,
        theta_0: &[f64],
        theta_k: &[f64],
        curvature: &[f64],
        alpha_low: f64,
    ) -> Result<f64, Error> {
        check_hyperparameter("alpha_low", alpha_low, |alpha| alpha > 0.0 && alpha <= 1.0, "in (0, 1]")?;
        self.check("theta_0", theta_0)?;
        self.check("curvature", curvature)?;
        let gradient = self.gradient(theta_k)?;
        let step: Vec<_> = theta_k.iter().zip(theta_0).map(|(end, start)| end - start).collect();
        let bent: Vec<_> = step.iter().zip(curvature).map(|(step, curvature)| step * curvature).collect();
        Ok((1.0 - ratio(dot(&gradient, &step), dot(&step, &bent))?).clamp(alpha_low, 1.0))
    }

    fn check(&self, name: &str, x: &[f64]) -> Result<(), Error> {
        let (expected, found) = (self.b.len(), x.len());
        if expected == found {
            return Ok(());
        }
        refuse(format!("it has {expected} coordinates, and {name} has {found}"))
    }

    /// `Ax`.
    fn times(&self, x: &[f64]) -> Vec<f64> {
        match &self.a {
            Matrix::Dense(a) => a.chunks(x.len()).map(|row| dot(row, x)).collect(),
            Matrix::Diagonal(a) => a.iter().zip(x).map(|(a, x)| a * x).collect(),
        }
    }
}

fn refuse<T>(problem: String) -> Result<T, Error> {
    Err(Error::Model { what: "quadratic", problem })
}

fn check_finite(a: &[f64], b: &[f64]) -> Result<(), Error> {
    match a.iter().chain(b).find(|value| !value.is_finite()) {
        Some(value) => refuse(format!("{value} is in A or b, which is no finite number")),
        None => Ok(()),
    }
}

fn indefinite(row: usize) -> String {
    format!(
        "A is not positive definite: Cholesky's factorisation fails at row {row}; every eigenvalue must be above 0"
    )
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn ratio(numerator: f64, denominator: f64) -> Result<f64, Error> {
    let ratio = numerator / denominator;
    if denominator > 0.0 && ratio.is_finite() {
        return Ok(ratio);
    }
    let problem = format!(
        "there is no best alpha: along theta_k - theta_0 the slope is {numerator} and the curvature {denominator}; \
         the points must differ and be finite"
    );
    Err(Error::Model { what: "inner loop", problem })
}

/// The first row at which Cholesky's factorisation finds that a symmetric matrix is not positive definite.
fn indefinite_row(a: &[f64], n: usize) -> Option<usize> {
    let mut factor = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let rest = a[i * n + j] - dot(&factor[i * n..i * n + j], &factor[j * n..j * n + j]);
            if i != j {
                factor[i * n + j] = rest / factor[j * n + j];
            } else if rest > 0.0 {
                factor[i * n + i] = rest.sqrt();
            } else {
                return Some(i);
            }
        }
    }
    None
}
