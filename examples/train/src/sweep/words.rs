//! What a sweep shows, in words that are found from its figures alone.

use super::Sweep;
use super::axes::Axis;
use super::outcome::{Cell, alone, best, by_series};
use super::report::loss_text;
use crate::report::percent;
use std::cmp::Ordering;

/// A loss of at most so many times the least one counts as near it.
const NEAR: f64 = 1.5;

/// Characters of a line at most.
const WIDTH: usize = 100;

/// What one sees, a paragraph for each setting of Lookahead.
pub fn words(sweep: &Sweep, cells: &[Cell]) -> String {
    let series = by_series(cells, sweep.axis);
    let mut text = reading(sweep);
    let Some((plain, others)) = series.split_first() else { return text };
    let mut say = |words: &str| text += &format!("\n{}", wrapped(words));
    for other in others {
        say(&best_of_both(sweep, plain, other));
        if sweep.axis == Axis::LearningRate && plain.len() > 1 {
            say(&near_the_best(sweep, plain, other));
        }
        let name = other.first().map_or_else(String::new, |cell| sweep.label(cell));
        for (wanted, words) in [(Ordering::Less, "ahead of"), (Ordering::Greater, "behind")] {
            let places = places(sweep, cells, other, wanted);
            say(&format!("{name} is {words} its rule alone at these values of {}: {places}.", sweep.axis));
        }
    }
    say(&divergences(sweep, &series));
    text
}

fn reading(sweep: &Sweep) -> String {
    let epochs = sweep.settings.first().map_or(0, |settings| settings.epochs);
    let seeds = sweep.seeds.len();
    let middle = if seeds == 1 { "of one seed".to_owned() } else { format!("median of {seeds} seeds") };
    format!("Test loss after {epochs} epochs, {middle}; lower is better:")
}

/// Each at its best place.
fn best_of_both(sweep: &Sweep, plain: &[&Cell], other: &[&Cell]) -> String {
    let (Some(one), Some(two)) = (best(plain), best(other)) else { return String::new() };
    let (before, after) = (one.test_loss(), two.test_loss());
    if !before.median.is_finite() || !after.median.is_finite() {
        return format!("{} or {} has no setting with a finite loss", sweep.label(one), sweep.label(two));
    }
    let place = |cell: &Cell| match cell.place(sweep.axis) {
        Some(place) => format!(" at {} {place}", sweep.axis),
        None => String::new(),
    };
    let figure = |cell: &Cell| {
        let (loss, accuracy) = (cell.test_loss().median, cell.accuracy().median);
        format!("{}{} ({}, {} right)", sweep.label(cell), place(cell), loss_text(loss), percent(accuracy))
    };
    let certainty = match () {
        () if sweep.seeds.len() == 1 => "with one seed, chance is not told apart",
        () if before.overlaps(&after) => "their seeds overlap, so that neither is shown to be better",
        () => "every seed of one is on the same side of every seed of the other",
    };
    format!(
        "Best: {} and {}. Lookahead's is {}; {certainty}.",
        figure(one),
        figure(two),
        compared(after.median, before.median),
    )
}

/// Where each comes near the least loss of both.
fn near_the_best(sweep: &Sweep, plain: &[&Cell], other: &[&Cell]) -> String {
    let losses = plain.iter().chain(other).map(|cell| cell.test_loss().median);
    let least = losses.fold(f64::INFINITY, f64::min);
    let near = |cells: &[&Cell]| {
        let is_near = |cell: &&&Cell| {
            let loss = cell.test_loss().median;
            loss.is_finite() && loss <= NEAR * least
        };
        let rates: Vec<_> = cells.iter().filter(is_near).map(|cell| cell.settings.learning_rate).collect();
        let name = cells.first().map_or_else(String::new, |cell| sweep.label(cell));
        let places: Vec<_> = rates.iter().map(ToString::to_string).collect();
        match places.len() {
            0 => format!("{name} at none"),
            count => format!("{name} at {count} of {} ({})", cells.len(), places.join(", ")),
        }
    };
    format!("Within {NEAR} times the least loss of all, by learning rate: {}; {}.", near(plain), near(other))
}

/// Where the loss of a series with Lookahead is less or greater than that of the rule alone, and by how much; where
/// seeds disagree, how many say so.
fn places(sweep: &Sweep, cells: &[Cell], series: &[&Cell], wanted: Ordering) -> String {
    let mut places = Vec::new();
    for cell in series {
        let Some(alone) = alone(cells, cell) else { continue };
        let (ours, theirs) = (cell.test_loss().median, alone.test_loss().median);
        if ours.total_cmp(&theirs) != wanted {
            continue;
        }
        let agreeing = match wanted {
            Ordering::Less => cell.lower_than(alone),
            _ => alone.lower_than(cell),
        };
        let seeds = cell.runs.len();
        let share =
            if agreeing == seeds { String::new() } else { format!(", in {agreeing} of {seeds} seeds") };
        let place = cell.place(sweep.axis).unwrap_or_default();
        places.push(format!("{place} ({}{share})", compared(ours, theirs)));
    }
    if places.is_empty() { "none".to_owned() } else { places.join(", ") }
}

/// How many runs diverged.
fn divergences(sweep: &Sweep, series: &[Vec<&Cell>]) -> String {
    let counts = series.iter().map(|cells| {
        let diverged: usize = cells.iter().map(|cell| cell.diverged()).sum();
        let runs: usize = cells.iter().map(|cell| cell.runs.len()).sum();
        let name = cells.first().map_or_else(String::new, |cell| sweep.label(cell));
        format!("{name} {diverged} of {runs} runs")
    });
    let counts: Vec<_> = counts.collect();
    format!("Diverged, which counts as an infinite loss and no image right: {}.", counts.join(", "))
}

/// A paragraph with a dash before it, broken at spaces.
fn wrapped(words: &str) -> String {
    let (mut text, mut column) = ("-".to_owned(), 1);
    for word in words.split(' ') {
        let length = word.chars().count() + 1;
        if column + length > WIDTH {
            text += "\n ";
            column = 1;
        }
        text.push(' ');
        text += word;
        column += length;
    }
    text
}

/// `12 % lower`, of losses.
fn compared(ours: f64, theirs: f64) -> String {
    if ours == theirs {
        return "the same".to_owned();
    }
    let word = if ours < theirs { "lower" } else { "higher" };
    match (ours / theirs - 1.0).abs() {
        _ if theirs.is_infinite() => "finite against infinite".to_owned(),
        _ if ours.is_infinite() => "infinite against finite".to_owned(),
        by if ours > 2.0 * theirs => format!("{:.1} times as high", by + 1.0),
        by => format!("{:.0} % {word}", 100.0 * by),
    }
}
