//! By two settings: a heat map a method, with numbers, and one scale of colours for all of them.

use super::axis::{Axis, figure, number};
use super::colour;
use super::colour_bar;
use super::error::DrawError;
use super::frame::{MEDIUM, SMALL};
use super::group::{by_method, is_diverged};
use super::measure::{Measure, Scale};
use super::picture::{self, Picture, Side, Stroke, Text};
use super::spread::Spread;
use crate::run::method::{Inner, Method};
use crate::run::record::Record;

/// A setting along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The inner optimizer's learning rate.
    Rate,
    /// SGD's momentum.
    Momentum,
    /// Inner steps a cycle.
    K,
    /// The slow step size.
    Alpha,
}

impl Setting {
    fn of(self, method: &Method) -> Option<f64> {
        match self {
            Self::Rate => Some(method.rate),
            Self::Momentum => match method.inner {
                Inner::Sgd { momentum } => Some(momentum),
                _ => None,
            },
            Self::K => method.lookahead.map(|slow| f64::from(slow.k)),
            Self::Alpha => method.lookahead.map(|slow| slow.alpha),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rate => "inner learning rate",
            Self::Momentum => "momentum",
            Self::K => "k",
            Self::Alpha => "alpha",
        }
    }
}

/// What came of the runs of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Missing,
    /// This many of all its runs.
    Diverged(usize, usize),
    Value(f64),
}

/// A method's cells, row after row.
struct Map {
    name: String,
    rows: Vec<Vec<Cell>>,
}

/// Draws what the last epoch came to, the mean over seeds: a map for each `Method::name()`, in the order in
/// which these come first.
pub fn draw(records: &[Record], x: Setting, y: Setting, measure: &Measure) -> Result<Picture, DrawError> {
    if records.is_empty() {
        return Err(DrawError::NoRuns(format!("{} by {}", x.name(), y.name())));
    }
    let (columns, rows) = (places(records, x)?, places(records, y)?);
    let maps = maps(records, (x, &columns), (y, &rows), measure)?;
    let all = maps.iter().flat_map(|map| map.rows.iter().flatten());
    let values = all.filter_map(|cell| match cell {
        Cell::Value(value) if measure.scale == Scale::Linear || *value > 0.0 => Some(*value),
        _ => None,
    });
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return Err(DrawError::NothingFinite {
            what: format!("{} by {}", x.name(), y.name()),
            quantity: measure.label.clone(),
        });
    }
    let [from, to] = measure.range.unwrap_or([low, high]);
    let scale = Axis::new(from, to, measure.scale);

    let (left, top) = (110.0, 48.0);
    let map_width = (84.0 * columns.len() as f64).max(200.0);
    let map_height = (58.0 * rows.len() as f64).max(200.0);
    let cell = (map_width / columns.len() as f64, map_height / rows.len() as f64);
    // Names may be wider than maps.
    let mut pitch = map_width;
    for map in &maps {
        pitch = pitch.max(picture::width(&map.name, MEDIUM)?);
    }
    let pitch = pitch + 36.0;
    let width = left + pitch * maps.len() as f64 + 130.0;
    let height = top + map_height + 76.0;
    let mut picture = Picture::new(width.ceil() as u32, height.ceil() as u32);
    for (i, map) in maps.iter().enumerate() {
        let left = left + pitch * i as f64 + (pitch - 36.0 - map_width) / 2.0;
        picture.text((left + map_width / 2.0, top - 24.0), &*map.name, Text::new(MEDIUM, Side::Middle));
        draw_cells(&mut picture, map, &scale, (left, top), cell);
        for (column, value) in columns.iter().enumerate() {
            let x = left + cell.0 * (column as f64 + 0.5);
            picture.text((x, top + map_height + 16.0), number(*value), Text::new(SMALL, Side::Middle));
        }
        let below = (left + map_width / 2.0, top + map_height + 48.0);
        picture.text(below, x.name(), Text::new(MEDIUM, Side::Middle));
    }
    let first = left + (pitch - 36.0 - map_width) / 2.0;
    for (row, value) in rows.iter().rev().enumerate() {
        let y = top + cell.1 * (row as f64 + 0.5);
        picture.text((first - 10.0, y), number(*value), Text::new(SMALL, Side::Right));
    }
    let upright = Text { is_upright: true, ..Text::new(MEDIUM, Side::Middle) };
    picture.text((first - 86.0, top + map_height / 2.0), y.name(), upright);
    let bar = left + pitch * maps.len() as f64;
    colour_bar::draw(&mut picture, &scale, &measure.label, [bar, top, top + map_height])?;
    Ok(picture)
}

/// Its values, each once, from the least.
fn places(records: &[Record], setting: Setting) -> Result<Vec<f64>, DrawError> {
    let value = |record: &Record| {
        let method = &record.run.method;
        setting.of(method).ok_or_else(|| DrawError::NoSetting {
            method: method.to_string(),
            setting: setting.name().to_owned(),
        })
    };
    let mut places = records.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    places.sort_unstable_by(f64::total_cmp);
    places.dedup();
    Ok(places)
}

fn maps(
    records: &[Record],
    (x, columns): (Setting, &[f64]),
    (y, rows): (Setting, &[f64]),
    measure: &Measure,
) -> Result<Vec<Map>, DrawError> {
    let mut maps: Vec<Map> = Vec::new();
    let mut taken: Vec<([usize; 3], String)> = Vec::new();
    for group in by_method(records) {
        let Some(first) = group.records.first() else { continue };
        let method = &first.run.method;
        let name = method.name();
        let index = maps.iter().position(|map| map.name == name).unwrap_or_else(|| {
            maps.push(Map { name, rows: vec![vec![Cell::Missing; columns.len()]; rows.len()] });
            maps.len() - 1
        });
        let place = |setting: Setting, places: &[f64]| {
            places.iter().position(|place| setting.of(method) == Some(*place))
        };
        let (Some(column), Some(row)) = (place(x, columns), place(y, rows)) else { continue };
        let at = [index, column, row];
        if let Some((_, other)) = taken.iter().find(|(taken, _)| *taken == at) {
            return Err(DrawError::SameCell { first: other.clone(), second: group.label });
        }
        taken.push((at, group.label));
        maps[index].rows[row][column] = cell(&group.records, measure);
    }
    Ok(maps)
}

fn cell(records: &[&Record], measure: &Measure) -> Cell {
    let diverged = records.iter().filter(|record| is_diverged(record)).count();
    if diverged > 0 {
        return Cell::Diverged(diverged, records.len());
    }
    let values = records.iter().map(|record| measure.quantity.of(record.history.last()?));
    match values.collect::<Option<Vec<_>>>() {
        None => Cell::Missing,
        Some(values) => match Spread::of(&values) {
            Some(spread) => Cell::Value(spread.mean),
            None => Cell::Diverged(values.iter().filter(|value| !value.is_finite()).count(), values.len()),
        },
    }
}

fn draw_cells(picture: &mut Picture, map: &Map, scale: &Axis, (left, top): (f64, f64), size: (f64, f64)) {
    for (row, cells) in map.rows.iter().rev().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            let from = (left + size.0 * column as f64, top + size.1 * row as f64);
            let to = (from.0 + size.0, from.1 + size.1);
            let middle = ((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0);
            let small = Text::new(14.0, Side::Middle).colour(colour::FAINT);
            match *cell {
                Cell::Value(value) => {
                    let fill = match scale.share(value) {
                        share if share.is_finite() => colour::map(share),
                        _ => colour::NONE,
                    };
                    picture.block(from, to, fill);
                    let text = Text::new(SMALL, Side::Middle).colour(colour::on(fill));
                    picture.text(middle, figure(value), text);
                }
                Cell::Missing => {
                    picture.block(from, to, colour::PAPER);
                    picture.text(middle, "no run", small);
                }
                Cell::Diverged(some, all) => {
                    picture.block(from, to, colour::NONE);
                    // A cross: it is told from what has a number at a glance.
                    let edge = Stroke::new(colour::PAPER, 2.0);
                    picture.line(vec![from, to], edge);
                    picture.line(vec![(from.0, to.1), (to.0, from.1)], edge);
                    if some == all {
                        picture.text(middle, "diverged", small);
                    } else {
                        picture.text((middle.0, middle.1 - 9.0), format!("{some} of {all}"), small);
                        picture.text((middle.0, middle.1 + 9.0), "diverged", small);
                    }
                }
            }
        }
    }
    let columns = map.rows.first().map_or(0, Vec::len);
    let (right, bottom) = (left + size.0 * columns as f64, top + size.1 * map.rows.len() as f64);
    let rule = Stroke::new(colour::PAPER, 1.5);
    for column in 1..columns {
        let x = left + size.0 * column as f64;
        picture.line(vec![(x, top), (x, bottom)], rule);
    }
    for row in 1..map.rows.len() {
        let y = top + size.1 * row as f64;
        picture.line(vec![(left, y), (right, y)], rule);
    }
    let around = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    picture.line(around, Stroke::new(colour::INK, 1.3));
}
