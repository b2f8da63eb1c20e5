//! Where values on a grid are the same, and what they are in between.

/// Values on a grid, which may not be finite.
pub struct Surface<'a> {
    pub x: &'a [f64],
    pub y: &'a [f64],
    /// Row after row.
    pub values: Vec<Vec<f64>>,
}

impl Surface<'_> {
    /// Interpolated from the corners around a place; none without, or beside a value that is not finite.
    pub fn at(&self, x: f64, y: f64) -> Option<f64> {
        let (column, across) = cell(self.x, x)?;
        let (row, along) = cell(self.y, y)?;
        let corner = |row: usize, column: usize| self.values.get(row)?.get(column).copied();
        let between = |row| Some(mix(corner(row, column)?, corner(row, column + 1)?, across));
        let value = mix(between(row)?, between(row + 1)?, along);
        value.is_finite().then_some(value)
    }

    /// Straight lines where the value is this one (marching triangles: unlike squares, they are never
    /// ambiguous).
    pub fn contour(&self, level: f64) -> Vec<[(f64, f64); 2]> {
        let mut lines = Vec::new();
        for (rows, y) in self.values.windows(2).zip(self.y.windows(2)) {
            for (column, x) in self.x.windows(2).enumerate() {
                let corner = |row: usize, side: usize| {
                    let value = rows[row].get(column + side).copied().unwrap_or(f64::NAN);
                    (x[side], y[row], value)
                };
                let corners = [corner(0, 0), corner(0, 1), corner(1, 1), corner(1, 0)];
                let sum: f64 = corners.iter().map(|corner| corner.2).sum();
                let middle = ((x[0] + x[1]) / 2.0, (y[0] + y[1]) / 2.0, sum / 4.0);
                for i in 0..4 {
                    lines.extend(crossing([corners[i], corners[(i + 1) % 4], middle], level));
                }
            }
        }
        lines
    }
}

/// The part of a triangle where the value is this one.
fn crossing(corners: [(f64, f64, f64); 3], level: f64) -> Option<[(f64, f64); 2]> {
    if corners.iter().any(|corner| !corner.2.is_finite()) {
        return None;
    }
    let mut ends = (0..3).filter_map(|i| {
        let (from, to) = (corners[i], corners[(i + 1) % 3]);
        let share = (level - from.2) / (to.2 - from.2);
        ((from.2 < level) != (to.2 < level)).then(|| (mix(from.0, to.0, share), mix(from.1, to.1, share)))
    });
    Some([ends.next()?, ends.next()?])
}

fn mix(from: f64, to: f64, share: f64) -> f64 {
    from + (to - from) * share
}

/// Between which two of rising coordinates a place is, and its share of the way.
fn cell(coordinates: &[f64], place: f64) -> Option<(usize, f64)> {
    let pairs = coordinates.windows(2).enumerate();
    let mut within = pairs.filter(|(_, pair)| pair[0] <= place && place <= pair[1] && pair[0] < pair[1]);
    within.next().map(|(i, pair)| (i, (place - pair[0]) / (pair[1] - pair[0])))
}
