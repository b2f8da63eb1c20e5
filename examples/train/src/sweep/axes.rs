//! What a sweep goes through, as the command line says it: `lr=0.001:0.3,k=5,10,alpha=0.5,0.8`.

use crate::arguments::{check_alpha, check_learning_rate};
use std::fmt::{self, Display};
use std::str::FromStr;

/// Values of one range at most.
const MOST_VALUES: usize = 1000;

/// What varies along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// The learning rate.
    LearningRate,
    /// Steps between two syncs.
    K,
    /// The slow step size.
    Alpha,
}

/// The values that each axis goes through, in rising order; none of an axis that is not swept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axes {
    /// Learning rates.
    pub lr: Vec<f64>,
    /// Steps between two syncs.
    pub k: Vec<u32>,
    /// Slow step sizes.
    pub alpha: Vec<f64>,
}

impl Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LearningRate => "learning rate",
            Self::K => "k",
            Self::Alpha => "alpha",
        })
    }
}

impl Axes {
    /// The axis that pictures and tables go along: the first with more than one value.
    pub fn main(&self) -> Axis {
        match () {
            () if self.lr.len() > 1 => Axis::LearningRate,
            () if self.k.len() > 1 => Axis::K,
            () if self.alpha.len() > 1 => Axis::Alpha,
            () => Axis::LearningRate,
        }
    }
}

impl FromStr for Axes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut axes = Self::default();
        for (name, items) in split(text)? {
            let mut values = Vec::new();
            for item in items {
                let found = expand(item)?;
                // There is no fraction of a step between the ends of a range.
                let is_rounded = name == "k" && found.len() > 1;
                values.extend(found.into_iter().map(|value| if is_rounded { value.round() } else { value }));
            }
            let of = |problem: String| format!("{name}: {problem}");
            match name {
                "lr" if axes.lr.is_empty() => axes.lr = checked(values, check_learning_rate).map_err(of)?,
                "alpha" if axes.alpha.is_empty() => {
                    axes.alpha = checked(values, check_alpha).map_err(of)?;
                }
                "k" if axes.k.is_empty() => {
                    let mut counts =
                        values.into_iter().map(steps).collect::<Result<Vec<_>, _>>().map_err(of)?;
                    counts.sort_unstable();
                    counts.dedup();
                    axes.k = counts;
                }
                "lr" | "k" | "alpha" => {
                    return Err(format!("`{name}` is there twice; give all its values once"));
                }
                _ => return Err(format!("there is no axis `{name}`; they are lr, k and alpha")),
            }
        }
        Ok(axes)
    }
}

/// The name of each axis with what stands for its values. An item without a name belongs to the axis before it.
fn split(text: &str) -> Result<Vec<(&str, Vec<&str>)>, String> {
    let mut axes: Vec<(&str, Vec<&str>)> = Vec::new();
    for item in text.split(',') {
        match (item.split_once('='), axes.last_mut()) {
            (Some((name, first)), _) => axes.push((name, vec![first])),
            (None, Some((_, items))) => items.push(item),
            (None, None) => return Err(format!("`{item}` belongs to no axis; begin with lr=, k= or alpha=")),
        }
    }
    Ok(axes)
}

/// The values of an item: a number, `LOW:HIGH` or `LOW:HIGH:COUNT`.
fn expand(item: &str) -> Result<Vec<f64>, String> {
    let wrong = || format!("`{item}` is no number, LOW:HIGH or LOW:HIGH:COUNT");
    let parts: Vec<_> = item.split(':').collect();
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(wrong);
    let (low, high, count) = match parts[..] {
        [one] => return Ok(vec![number(one)?]),
        [low, high] => (number(low)?, number(high)?, None),
        [low, high, count] => {
            let count = count.parse().ok().filter(|count| (2..=MOST_VALUES).contains(count));
            let count = count.ok_or_else(|| format!("`{item}`: the count is from 2 to {MOST_VALUES}"))?;
            (number(low)?, number(high)?, Some(count))
        }
        _ => return Err(wrong()),
    };
    if low <= 0.0 || low >= high {
        return Err(format!("`{item}`: a range goes from a number above 0 up to a larger one"));
    }
    Ok(match count {
        Some(count) => spread(low, high, count),
        None => steps_of_three(low, high),
    })
}

/// So many values, evenly on a logarithmic axis, of three digits but for the ends.
fn spread(low: f64, high: f64, count: usize) -> Vec<f64> {
    let value = |index: usize| match index {
        0 => low,
        _ if index + 1 == count => high,
        _ => {
            let value = low * (high / low).powf(index as f64 / (count - 1) as f64);
            // A number that was just written can be read.
            format!("{value:.2e}").parse().unwrap_or(value)
        }
    };
    (0..count).map(value).collect()
}

/// The ends, and 1 and 3 times every power of ten between them.
fn steps_of_three(low: f64, high: f64) -> Vec<f64> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    // As written, 3e-3 is the nearest number to 0.003; a product may be the one beside it.
    let all = decades.flat_map(|decade| [format!("1e{decade}"), format!("3e{decade}")]);
    let between = all.filter_map(|text| text.parse().ok()).filter(|value| (low..high).contains(value));
    std::iter::once(low).chain(between).chain([high]).collect()
}

/// The values in rising order, each once, all of which `check` takes.
fn checked(mut values: Vec<f64>, check: fn(f64) -> Result<f64, String>) -> Result<Vec<f64>, String> {
    for value in &values {
        check(*value).map_err(|problem| format!("{value}: {problem}"))?;
    }
    values.sort_unstable_by(f64::total_cmp);
    values.dedup();
    Ok(values)
}

/// A number of steps.
fn steps(value: f64) -> Result<u32, String> {
    match value >= 1.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0 {
        true => Ok(value as u32),
        false => Err(format!("{value}: it must be a whole number from 1 on")),
    }
}
