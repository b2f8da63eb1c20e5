//! Means and variances of many values from those of their parts.

/// Mean and sum of squared deviations of some values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    pub count: f64,
    pub mean: f64,
    /// Of the squared deviations from the mean.
    pub squares: f64,
}

impl Sums {
    /// Those of both together (Chan, Golub and LeVeque 1979).
    pub fn join(self, other: Self) -> Self {
        if self.count == 0.0 {
            return other;
        }
        let count = self.count + other.count;
        let difference = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + difference * other.count / count,
            squares: self.squares
                + other.squares
                + difference * difference * self.count * other.count / count,
        }
    }

    /// Without bias.
    pub fn variance(&self) -> f64 {
        self.squares / (self.count - 1.0)
    }
}

/// The standard error of the variance of `count` values that are normal with this variance; those of the
/// model are, since each is a sum of normal ones.
pub fn variance_error(variance: f64, count: f64) -> f64 {
    variance * (2.0 / (count - 1.0)).sqrt()
}
