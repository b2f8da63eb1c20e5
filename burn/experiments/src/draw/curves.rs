//! By epoch: a line a method, which is the mean over seeds, and a band from the least to the greatest.

use super::axis::{Axis, round_out};
use super::colour;
use super::error::DrawError;
use super::frame::Frame;
use super::group::Group;
use super::legend::{self, Entry};
use super::measure::{Measure, Scale};
use super::picture::{Picture, Side, Stroke, Text};
use super::spread::{Spread, quantile};

const HEIGHT: u32 = 600;
const WIDTHS: [u32; 2] = [800, 1200];

/// Draws one or two panels side by side.
pub fn draw(groups: &[Group<'_>], measures: &[Measure]) -> Result<Picture, DrawError> {
    let Some(&width) = measures.len().checked_sub(1).and_then(|panels| WIDTHS.get(panels)) else {
        return Err(DrawError::Panels(measures.len()));
    };
    if groups.iter().all(|group| group.records.is_empty()) {
        return Err(DrawError::NoRuns("curves".to_owned()));
    }
    let mut picture = Picture::new(width, HEIGHT);
    let strokes = strokes(groups);
    let entries = groups.iter().zip(&strokes).map(|(group, &stroke)| {
        let label = match (group.diverged(), group.records.len()) {
            (0, _) => group.label.clone(),
            (1, 1) => format!("{} (diverged)", group.label),
            (some, all) => format!("{} ({some} of {all} diverged)", group.label),
        };
        Entry { label, stroke: Some(stroke), dot: None }
    });
    let legend = legend::draw(&mut picture, 12.0, 96.0, &entries.collect::<Vec<_>>())?;
    // Panels keep their height where there are many methods.
    picture.grow(legend - 60.0);
    let (top, bottom) = (28.0 + legend, f64::from(picture.size().1) - 84.0);
    let note = note(groups);
    if !note.is_empty() {
        let style = Text::new(15.0, Side::Right).colour(colour::FAINT);
        picture.text((f64::from(width) - 24.0, bottom + 68.0), note, style);
    }
    let each = f64::from(width) / measures.len() as f64;
    for (i, measure) in measures.iter().enumerate() {
        let left = each * i as f64;
        panel(&mut picture, groups, &strokes, measure, [left + 96.0, left + each - 24.0, top, bottom])?;
    }
    Ok(picture)
}

/// What lines and bands are.
fn note(groups: &[Group<'_>]) -> String {
    let seeds = groups.iter().map(|group| group.records.len());
    match (seeds.clone().min().unwrap_or(0), seeds.max().unwrap_or(0)) {
        (_, 0 | 1) => String::new(),
        (least, most) if least == most => format!("mean of {most} seeds; band: least to greatest"),
        (least, most) => format!("mean of {least} to {most} seeds; band: least to greatest"),
    }
}

/// Lookahead's lines have one hue and are wider.
fn strokes(groups: &[Group<'_>]) -> Vec<Stroke> {
    const DASHES: [Option<[f64; 2]>; 3] = [None, Some([12.0, 5.0]), Some([4.0, 4.0])];
    let (mut with, mut alone) = (0, 0);
    let strokes = groups.iter().map(|group| {
        let (count, colours, width) = match group.is_lookahead() {
            true => (&mut with, &colour::LOOKAHEAD[..], 3.6),
            false => (&mut alone, &colour::ALONE[..], 2.2),
        };
        let (i, turn) = (*count % colours.len(), *count / colours.len());
        *count += 1;
        // One hue has few shades that can be told apart.
        let dash = DASHES[if group.is_lookahead() { i + turn } else { turn } % DASHES.len()];
        Stroke { colour: colours[i], width, dash }
    });
    strokes.collect()
}

fn panel(
    picture: &mut Picture,
    groups: &[Group<'_>],
    strokes: &[Stroke],
    measure: &Measure,
    [left, right, top, bottom]: [f64; 4],
) -> Result<(), DrawError> {
    let curves: Vec<_> = groups.iter().map(|group| group.by_epoch(measure.quantity)).collect();
    let y = y_axis(&curves, measure).ok_or_else(|| DrawError::NothingFinite {
        what: "curves".to_owned(),
        quantity: measure.label.clone(),
    })?;
    let epochs = curves.iter().flatten().map(|&(epoch, _)| f64::from(epoch));
    let (first, last) = (epochs.clone().fold(f64::INFINITY, f64::min), epochs.fold(0.0, f64::max));
    let margin = if last - first < 2.0 { 1.0 } else { 0.0 };
    let x = Axis::whole(first - margin, last + margin);
    let frame = Frame { left, right, top, bottom, x, y };
    frame.axes(picture, "epoch", &measure.label)?;
    for (curve, stroke) in curves.iter().zip(strokes) {
        let band = curve.iter().map(|(epoch, spread)| (f64::from(*epoch), spread.least, spread.greatest));
        let band: Vec<_> = band.filter(|&(_, low, _)| y.scale == Scale::Linear || low > 0.0).collect();
        if band.iter().any(|(_, low, high)| low < high) {
            frame.band(picture, &band, stroke.colour);
        }
    }
    // Lookahead's lines come first, so that the thinner ones show on top of them.
    let mut order: Vec<_> = (0..groups.len()).collect();
    order.sort_by_key(|&i| !groups[i].is_lookahead());
    for i in order {
        let line: Vec<_> = curves[i].iter().map(|(epoch, spread)| (f64::from(*epoch), spread.mean)).collect();
        frame.line(picture, &line, strokes[i]);
        if let [(x, y)] = line[..]
            && frame.contains(x, y)
        {
            picture.dot(frame.at(x, y), 2.0 + strokes[i].width, strokes[i].colour);
        }
    }
    frame.border(picture);
    Ok(())
}

/// What is reached after a tenth of the epochs, without the outermost few, so that the first steep epochs and
/// a run that fails do not flatten the rest.
fn y_axis(curves: &[Vec<(u32, Spread)>], measure: &Measure) -> Option<Axis> {
    let is_shown = |value: &f64| measure.scale == Scale::Linear || *value > 0.0;
    let values = |from: u32| {
        let late = curves.iter().flatten().filter(move |(epoch, _)| *epoch > from);
        late.flat_map(|(_, spread)| [spread.least, spread.mean, spread.greatest])
            .filter(is_shown)
            .collect::<Vec<_>>()
    };
    let last = curves.iter().flatten().map(|&(epoch, _)| epoch).max()?;
    let late = match values(last / 10) {
        none if none.is_empty() => values(0),
        some => some,
    };
    // An axis is of use only if there is a value at all, even where the range is given.
    let (mut low, mut high) = (quantile(late.clone(), 0.01)?, quantile(late.clone(), 0.97)?);
    // The better end is where lines end; it is never cut.
    match measure.quantity.is_gain() {
        true => high = late.into_iter().fold(high, f64::max),
        false => low = late.into_iter().fold(low, f64::min),
    }
    if let Some([from, to]) = measure.range {
        return Some(Axis::new(from, to, measure.scale));
    }
    Some(match measure.scale {
        Scale::Log => Axis::new(low / 1.08, high * 1.08, Scale::Log),
        Scale::Linear => {
            let (from, to) = round_out(low - 0.02 * (high - low), high + 0.02 * (high - low));
            // Losses and scores are not negative, mostly.
            Axis::new(if low >= 0.0 { from.max(0.0) } else { from }, to, Scale::Linear)
        }
    })
}
