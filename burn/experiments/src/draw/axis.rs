//! Axes: where values are, and which get a tick.

use super::measure::Scale;

/// An axis from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    pub from: f64,
    pub to: f64,
    pub scale: Scale,
    /// Whether there is nothing between whole numbers.
    pub is_whole: bool,
}

impl Axis {
    /// With an end that differs from its start, whatever these are.
    pub fn new(from: f64, to: f64, scale: Scale) -> Self {
        // A margin may have made an end infinite, which is without end of ticks.
        let (from, to) = (from.max(f64::MIN), to.min(f64::MAX));
        let (from, to) = match scale {
            Scale::Linear if from < to => (from, to),
            Scale::Linear => {
                let margin = (from.abs() * 0.05).max(1e-3);
                (from - margin, to + margin)
            }
            Scale::Log => {
                let from = if from > 0.0 { from } else { f64::MIN_POSITIVE };
                if from < to { (from, to) } else { (from / 1.2, from * 1.2) }
            }
        };
        Self { from, to, scale, is_whole: false }
    }

    /// Of epochs or steps.
    pub fn whole(from: f64, to: f64) -> Self {
        Self { is_whole: true, ..Self::new(from, to, Scale::Linear) }
    }

    /// From 0 at its start to 1 at its end; not finite where the axis has no place for a value.
    pub fn share(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => (value / self.from).ln() / (self.to / self.from).ln(),
        }
    }

    /// At most as many as this, if it is at least 3, and their labels.
    pub fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        if self.scale == Scale::Log {
            let ticks = self.log_ticks(most);
            if ticks.len() >= 3 {
                return ticks.into_iter().map(|tick| (tick, number(tick))).collect();
            }
        }
        let least = (self.to - self.from) / most as f64;
        let unit = round_unit(if self.is_whole { least.max(1.0) } else { least });
        if !unit.is_finite() || unit <= 0.0 {
            return Vec::new();
        }
        let digits = decimals(unit);
        let slack = unit * 1e-6;
        let first = ((self.from - slack) / unit).ceil();
        let ticks = (0..=most).map(|i| (first + i as f64) * unit);
        // Adding zero makes a negative zero positive.
        ticks
            .filter(|tick| tick.is_finite() && *tick <= self.to + slack)
            .map(|tick| (tick, fixed(tick + 0.0, digits)))
            .collect()
    }

    fn log_ticks(&self, most: usize) -> Vec<f64> {
        let decades = self.from.log10().floor() as i32..=self.to.log10().floor() as i32;
        let stride = decades.clone().count().div_ceil(most.max(1));
        let factors: [&[f64]; 4] = [&[1.0, 2.0, 3.0, 5.0, 7.0], &[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
        let (from, to) = (self.from * (1.0 - 1e-9), self.to * (1.0 + 1e-9));
        let found = factors.into_iter().map(|factors| {
            let decades = decades.clone().step_by(if factors.len() == 1 { stride } else { 1 });
            let all =
                decades.flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade)));
            all.filter(|tick| (from..=to).contains(tick)).collect::<Vec<_>>()
        });
        found.into_iter().find(|ticks| ticks.len() <= most).unwrap_or_default()
    }
}

/// Round values around a range.
pub fn round_out(low: f64, high: f64) -> (f64, f64) {
    let unit = round_unit((high - low) / 10.0);
    if !unit.is_finite() || unit <= 0.0 {
        return (low, high);
    }
    ((low / unit).floor() * unit, (high / unit).ceil() * unit)
}

/// The least of 1, 2 and 5 times a power of ten that is not below a positive number.
fn round_unit(least: f64) -> f64 {
    let decade = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * decade >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * decade
}

fn decimals(unit: f64) -> usize {
    (-(unit.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize
}

fn fixed(value: f64, digits: usize) -> String {
    if value.abs() >= 1e6 || digits > 5 { number(value) } else { format!("{value:.digits$}") }
}

/// Short for every size.
pub fn number(value: f64) -> String {
    let is_plain = value == 0.0 || (1e-3..1e5).contains(&value.abs());
    // What a tick's value has beyond single precision is rounding.
    match value as f32 {
        short if is_plain => format!("{short}"),
        short if short.is_finite() => format!("{short:e}"),
        _ => format!("{value:.0e}"),
    }
}

/// As a cell has room for: with three digits that count, between 10 and 100 with four.
pub fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.1e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.2}"),
        size => format!("{value:.*}", (2.0 - size.log10().floor()) as usize),
    }
}
