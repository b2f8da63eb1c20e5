//! What breaks first, in words.

use serde::Serialize;

use crate::{
    network::{Messages, Network},
    quadratic,
    report::{Loss, MOST, PERIODS, Report, Row, Settings, short, some_workers},
    schedule::Schedule,
};

/// More workers are of little use where they lower the loss by a smaller share.
const LITTLE: f64 = 0.05;
/// A period is too long where it raises the loss by a larger share.
const WORSE: f64 = 0.1;

/// A sentence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// From how many workers on; none where it is of no number of them.
    pub workers: Option<u32>,
    pub text: String,
}

/// All sentences: those of a number of workers first, in its order.
pub fn find(report: &Report, chosen: quadratic::Loss) -> Vec<Finding> {
    let Report { settings, rows, logistic, .. } = report;
    let mut found = vec![half(rows), latency(settings, rows), blocks(&settings.schedule), quadratic(chosen)];
    found.extend(alike(&report.quadratic));
    found.extend(few_gains(logistic));
    found.extend(long_periods(logistic));
    found.extend(floor(logistic));
    found.extend(streamed(&settings.schedule, &settings.network));
    found.sort_by_key(|finding| finding.workers.unwrap_or(u32::MAX));
    found
}

fn percent(share: f64) -> String {
    format!("{} %", short((1000.0 * share).round() / 10.0))
}

/// From where on more than half of the time is waiting.
fn half(rows: &[Row]) -> Finding {
    let last = rows.last().map_or(0.0, |row| row.share);
    let last = format!("with {MOST} it is {}", percent(last));
    match rows.iter().find(|row| row.share > 0.5) {
        Some(Row { round, share, .. }) => {
            let n = round.workers;
            let text = format!(
                "From {n} workers on more than half of the time is waiting ({}; {last}).",
                percent(*share)
            );
            Finding { workers: Some(n), text }
        }
        None => Finding { workers: None, text: format!("Waiting takes less than half of the time: {last}.") },
    }
}

/// From where on messages take longer than bytes.
fn latency(settings: &Settings, rows: &[Row]) -> Finding {
    let &Settings { schedule, network, .. } = settings;
    let parts = f64::from(schedule.fragments);
    let exchange = |messages| schedule.round(&Network { messages, ..network }, MOST).exchange;
    let at_most = exchange(network.messages);
    let mut rest = format!(
        "with {MOST} a round has {} messages, {} s, and {} s of bytes",
        short(parts * at_most.messages as f64),
        short(parts * at_most.latency),
        short(parts * at_most.sending)
    );
    if network.messages == Messages::All {
        let tree = exchange(Messages::Tree);
        rest += &format!(
            "; along a tree there would be {}, {} s",
            short(parts * tree.messages as f64),
            short(parts * tree.latency)
        );
    }
    let first = rows.iter().find(|row| row.round.exchange.latency > row.round.exchange.sending);
    match first.map(|row| row.round.workers) {
        Some(n) => Finding {
            workers: Some(n),
            text: format!("From {n} workers on messages take longer than bytes: {rest}."),
        },
        None => Finding { workers: None, text: format!("Bytes take longer than messages: {rest}.") },
    }
}

/// From where on some workers own nothing of a fragment.
fn blocks(schedule: &Schedule) -> Finding {
    let blocks = schedule.fragment();
    let whole = if schedule.fragments == 1 { "the model" } else { "a fragment" };
    if blocks >= u64::from(MOST) {
        let each = blocks / u64::from(MOST);
        let text =
            format!("Each of {MOST} workers has {each} or more of the {blocks} blocks of {whole} to sum.");
        return Finding { workers: None, text };
    }
    let n = blocks as u32 + 1;
    let text = format!(
        "From {n} workers on some have no block of {whole} to sum, which has {blocks}, and more of them make no part smaller."
    );
    Finding { workers: Some(n), text }
}

/// From where on twice as many workers lower the quadratic's loss by little.
fn quadratic(loss: quadratic::Loss) -> Finding {
    if !(loss.of(1).is_finite()) {
        return Finding { workers: None, text: "The quadratic diverges with this outer step.".to_owned() };
    }
    let gain = |n: u32| 1.0 - loss.of(2 * n) / loss.of(n);
    let left =
        format!("{} of it is left from the start, which no number of workers lowers", short(loss.bias));
    match (0..MOST.ilog2()).map(|power| 1 << power).find(|n| gain(*n) < LITTLE) {
        Some(n) => {
            let text = format!(
                "From {n} workers on twice as many lower the quadratic's loss of {} by less than {}: {left}.",
                short(loss.of(n)),
                percent(LITTLE)
            );
            Finding { workers: Some(n), text }
        }
        None => {
            let text = format!(
                "Up to {MOST} workers twice as many lower the quadratic's loss by {} or more: with {MOST} it is {}; {left}.",
                percent(LITTLE),
                short(loss.of(MOST))
            );
            Finding { workers: None, text }
        }
    }
}

/// Whether all periods have one loss.
pub fn are_alike(losses: &[Loss]) -> bool {
    let near = |row: &[Loss]| row.iter().all(|loss| (loss.loss / row[0].loss - 1.0).abs() < 1e-3);
    losses.chunks(PERIODS.len()).all(near)
}

/// Where the period changes nothing.
fn alike(losses: &[Loss]) -> Option<Finding> {
    let text = "On the quadratic the period changes nothing: the mean of linear steps is a step on the mean."
        .to_owned();
    are_alike(losses).then_some(Finding { workers: None, text })
}

fn loss_of(losses: &[Loss], workers: u32, period: u32) -> Option<f64> {
    let found = losses.iter().find(|loss| loss.cell.workers == workers && loss.cell.period == period);
    found.map(|loss| loss.loss)
}

/// From where on four times as many workers lower the logistic regression's loss by little, by period.
fn few_gains(losses: &[Loss]) -> Option<Finding> {
    let first = |period: u32| {
        let of = |n| loss_of(losses, n, period);
        some_workers().find(|n| of(*n).zip(of(4 * n)).is_some_and(|(few, many)| 1.0 - many / few < LITTLE))
    };
    let each: Vec<_> = PERIODS.iter().filter_map(|period| Some((first(*period)?, *period))).collect();
    let &(n, _) = each.iter().min()?;
    let all: Vec<_> = each.iter().map(|(n, period)| format!("{n} with H = {period}")).collect();
    let text = format!(
        "From {n} workers on four times as many lower the logistic regression's loss by less than {} with some period: \
         from {}.",
        percent(LITTLE),
        all.join(", ")
    );
    Some(Finding { workers: Some(n), text })
}

/// The first period that raises the logistic regression's loss by much, by workers.
fn long_periods(losses: &[Loss]) -> Option<Finding> {
    let raised = |n: u32, period| Some(loss_of(losses, n, period)? / loss_of(losses, n, 1)? - 1.0);
    let first = |n: u32| {
        let mut each = PERIODS.iter().filter_map(|period| Some((*period, raised(n, *period)?)));
        each.find(|(_, raised)| *raised > WORSE)
    };
    loss_of(losses, 1, 1)?;
    let each = some_workers().filter_map(|n| Some((n, first(n)?)));
    let each: Vec<_> = each.collect();
    let Some(&(n, _)) = each.first() else {
        let longest = PERIODS[PERIODS.len() - 1];
        let text = format!(
            "No period up to {longest} raises the logistic regression's loss by more than {} over that of H = 1.",
            percent(WORSE)
        );
        return Some(Finding { workers: None, text });
    };
    let all: Vec<_> = each
        .iter()
        .map(|(n, (period, raised))| format!("H = {period} with {n} workers ({} more)", percent(*raised)))
        .collect();
    let text = format!(
        "A long period raises the logistic regression's loss by more than {} over that of H = 1: from {}.",
        percent(WORSE),
        all.join(", ")
    );
    Some(Finding { workers: Some(n), text })
}

/// Where the longest period ends, with any number of workers.
fn floor(losses: &[Loss]) -> Option<Finding> {
    let period = *PERIODS.last()?;
    let (few, many) = (loss_of(losses, MOST / 4, period)?, loss_of(losses, MOST, period)?);
    let plain = loss_of(losses, MOST, 1)?;
    let gain = 1.0 - many / few;
    let kind = if gain < LITTLE { "has reached its floor" } else { "still falls" };
    let text = format!(
        "With H = {period} the logistic regression's loss {kind}: {} with {} workers and {} with {MOST}, where H = 1 comes \
         to {}.",
        short(few),
        MOST / 4,
        short(many),
        short(plain)
    );
    Some(Finding { workers: None, text })
}

/// The schedule that is compared with the plain one: the given one, or where that is plain itself one in a few fragments,
/// overlapped as much as they can be.
pub fn streaming(schedule: &Schedule) -> Option<Schedule> {
    const FRAGMENTS: u32 = 4;
    if schedule.fragments > 1 || schedule.overlap > 0 {
        return Some(*schedule);
    }
    let mut streaming = Schedule { fragments: FRAGMENTS.min(schedule.period / 2).max(1), ..*schedule };
    streaming.overlap = streaming.most_overlap();
    (streaming.overlap > 0 && streaming.check().is_ok()).then_some(streaming)
}

/// What fragments and overlap bring.
fn streamed(schedule: &Schedule, network: &Network) -> Option<Finding> {
    let streaming = streaming(schedule)?;
    let plain = Schedule { fragments: 1, overlap: 0, ..streaming };
    let share = |schedule: &Schedule, n| percent(schedule.round(network, n).share());
    let each = [64, MOST].map(|n| {
        let (after, before) = (share(&streaming, n), share(&plain, n));
        format!("{after} of the time with {n} workers, not {before}")
    });
    let need = match streaming.round(network, MOST).hiding_bandwidth {
        Some(bytes) => format!("{} bytes a second would hide all of it with {MOST}", short(bytes)),
        None => {
            format!("no bandwidth would hide it with {MOST}, as messages alone take longer than these steps")
        }
    };
    let Schedule { fragments, overlap, .. } = streaming;
    let text = format!(
        "In {fragments} fragments, each overlapped with {overlap} steps, waiting takes {}; {need}.",
        each.join(", and ")
    );
    Some(Finding { workers: None, text })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{arguments::Arguments, report::cells};

    /// With a loss of `1/n`, and a floor that a long period raises.
    fn report(words: &[&str]) -> Report {
        let arguments = Arguments::parse_from([&["scale"], words].concat());
        arguments.check().unwrap();
        let loss = |cell: &crate::regression::Cell| {
            let floor = if cell.period >= 64 { 0.02 } else { 0.0 };
            Loss { cell: *cell, loss: 1.0 / f64::from(cell.workers) + floor }
        };
        Report::new(&arguments, cells().iter().map(loss).collect())
    }

    fn from(report: &Report, part: &str) -> Option<u32> {
        let found = report.findings.iter().find(|finding| finding.text.contains(part));
        found.unwrap_or_else(|| panic!("no {part} in {:#?}", report.findings)).workers
    }

    // Finds: a number of workers that is not the first, or where the other is larger.
    #[test]
    fn a_sentence_begins_where_its_numbers_do() {
        let report = report(&[]);
        let first =
            |is: &dyn Fn(&Row) -> bool| report.rows.iter().find(|row| is(row)).map(|row| row.round.workers);
        let half = first(&|row| row.round.waiting > row.round.seconds - row.round.waiting);
        assert_eq!((from(&report, "half of the time"), half), (half, Some(1024)));
        let latency = first(&|row| row.round.exchange.latency > row.round.exchange.sending);
        assert_eq!(from(&report, "longer than bytes"), latency);
        // 0.02 is 8 % of 1/4 and 32 % of 1/16; four times 256 workers lower 1/256 + 0.02 by 12 %, four times 1024 theirs by
        // 3 %.
        assert_eq!(from(&report, "raises the logistic"), Some(16));
        assert!(
            report.findings.iter().any(|found| found.text.contains("H = 64 with 16 workers (32 % more)"))
        );
        assert_eq!(from(&report, "four times as many"), Some(1024));
        assert_eq!(from(&report, "reached its floor"), None);
        let order: Vec<_> = report.findings.iter().map(|found| found.workers.unwrap_or(u32::MAX)).collect();
        assert!(order.is_sorted(), "{order:?}");
    }

    #[test]
    fn what_does_not_break_is_told_too() {
        let small =
            report(&["--weights", "12800", "--fragments", "2", "--messages", "tree", "--latency", "0"]);
        assert_eq!(from(&small, "no block of a fragment"), Some(51));
        assert_eq!(from(&small, "Bytes take longer than messages"), None);
        assert_eq!(from(&small, "Waiting takes less than half"), None);
        assert_eq!(from(&report(&["--condition", "1000"]), "lower the quadratic's loss of"), Some(16));
        let momentum = report(&["--outer", "nesterov", "--alpha", "0.7"]);
        assert!(momentum.findings.iter().all(|found| !found.text.contains("changes nothing")));
        assert_eq!(from(&report(&[]), "changes nothing"), None);
    }

    // Finds: a schedule to compare with that has nothing to hide behind, or is not the given one.
    #[test]
    fn the_plain_schedule_is_compared_with_a_few_fragments() {
        let of = |words: &[&str]| {
            let schedule = report(words).settings.schedule;
            streaming(&schedule).map(|streaming| (streaming.fragments, streaming.overlap))
        };
        assert_eq!(of(&[]), Some((4, 3)));
        assert_eq!(of(&["--period", "3"]), Some((1, 2)));
        assert_eq!(of(&["--period", "1"]), None);
        assert_eq!(of(&["--fragments", "8", "--overlap", "1"]), Some((8, 1)));
    }
}
