//! All that is told: for people as tables, for programs as JSON.

use std::fmt::Write;

use lookahead_mpi::Wire;
use serde::Serialize;

use crate::{
    arguments::Arguments,
    findings::{self, Finding},
    network::Network,
    outer::OuterName,
    quadratic::Quadratic,
    regression::{Cell, LAMBDA, Sgd},
    schedule::{Round, Schedule},
};

/// Periods that losses are told for.
pub const PERIODS: [u32; 5] = [1, 4, 16, 64, 256];
/// Workers at most.
pub const MOST: u32 = 4096;

/// Every power of two.
fn all_workers() -> impl Iterator<Item = u32> {
    (0..=MOST.ilog2()).map(|power| 1 << power)
}

/// Every second one.
pub fn some_workers() -> impl Iterator<Item = u32> {
    all_workers().step_by(2)
}

/// Workers and periods that losses are told for.
pub fn cells() -> Vec<Cell> {
    some_workers().flat_map(|workers| PERIODS.map(|period| Cell { workers, period })).collect()
}

/// A loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Loss {
    #[serde(flatten)]
    pub cell: Cell,
    pub loss: f64,
}

/// A round of so many workers, and the quadratic's loss with the period that was asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub round: Round,
    /// The share of the time that is waiting.
    pub share: f64,
    pub loss: f64,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Settings {
    pub schedule: Schedule,
    pub network: Network,
    pub outer: OuterName,
    pub alpha: f64,
    pub momentum: f64,
    pub quadratic: Quadratic,
    pub sgd: Sgd,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub settings: Settings,
    pub rows: Vec<Row>,
    pub quadratic: Vec<Loss>,
    /// Losses above the minimum's; empty where it was left out.
    pub logistic: Vec<Loss>,
    pub findings: Vec<Finding>,
}

impl Report {
    pub fn new(arguments: &Arguments, logistic: Vec<Loss>) -> Self {
        let &Arguments { outer, alpha, momentum, .. } = arguments;
        let (schedule, network, sgd) = (arguments.schedule(), arguments.network(), arguments.sgd());
        let quadratic = arguments.quadratic();
        let settings = Settings { schedule, network, outer, alpha, momentum, quadratic, sgd };
        let step = arguments.outer();
        let loss = |period| quadratic.loss(&step, period);
        let chosen = loss(schedule.period);
        let row = |workers| {
            let round = schedule.round(&network, workers);
            Row { round, share: round.share(), loss: chosen.of(workers) }
        };
        let rows: Vec<_> = all_workers().map(row).collect();
        let each = PERIODS.map(|period| (period, loss(period)));
        let of = |workers| {
            each.map(|(period, loss)| Loss { cell: Cell { workers, period }, loss: loss.of(workers) })
        };
        let quadratic = some_workers().flat_map(of).collect();
        let mut report = Self { settings, rows, quadratic, logistic, findings: vec![] };
        report.findings = findings::find(&report, chosen);
        report
    }

    /// Tables and sentences that fit a terminal.
    pub fn text(&self) -> String {
        let mut text = self.settings.text() + "\n";
        self.time_table(&mut text).and_then(|()| self.losses(&mut text)).map_or_else(
            |_| String::new(),
            |()| {
                text += "\nWhat breaks first, of 1, 2, 4, ... workers\n";
                for Finding { text: sentence, .. } in &self.findings {
                    text += &wrapped(sentence);
                }
                text
            },
        )
    }

    fn time_table(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "{:>7} {:>10} {:>10} {:>10} {:>10} {:>10} {:>11} {:>9} {:>11}",
            "workers",
            "bytes",
            "messages",
            "exchange",
            "waiting",
            "a round",
            "all steps",
            "waiting",
            "quadratic"
        )?;
        let seconds = "s";
        writeln!(
            text,
            "{:>7} {:>10} {:>10} {seconds:>10} {seconds:>10} {seconds:>10} {seconds:>11} {:>9} {:>11}",
            "", "a round", "a round", "%", "loss"
        )?;
        let parts = f64::from(self.settings.schedule.fragments);
        for Row { round, share, loss } in &self.rows {
            let exchange = &round.exchange;
            let sent = [exchange.bytes as f64, exchange.messages as f64].map(|each| short(parts * each));
            let times = [parts * exchange.seconds(), round.waiting, round.seconds, round.total].map(short);
            let (loss, share) = (short(*loss), 100.0 * share);
            let [bytes, messages] = sent;
            let [exchange, waiting, seconds, total] = times;
            writeln!(
                text,
                "{:>7} {bytes:>10} {messages:>10} {exchange:>10} {waiting:>10} {seconds:>10} {total:>11} {share:>9.1} \
                 {loss:>11}",
                round.workers
            )?;
        }
        Ok(())
    }

    fn losses(&self, text: &mut String) -> std::fmt::Result {
        let Settings { sgd, quadratic, .. } = &self.settings;
        let Quadratic { condition, learning_rate, steps } = quadratic;
        writeln!(
            text,
            "\nLoss on the quadratic: {steps} steps, rate {learning_rate}, condition number {condition}"
        )?;
        grid(text, &self.quadratic)?;
        if !self.logistic.is_empty() {
            let Sgd { learning_rate, batch, seed, .. } = sgd;
            writeln!(
                text,
                "\nLogistic regression, loss above the minimum's: rate {learning_rate}, batches of {batch}, L2 {LAMBDA}, \
                 seed {seed}"
            )?;
            grid(text, &self.logistic)?;
        }
        Ok(())
    }
}

impl Settings {
    fn text(&self) -> String {
        let Self { schedule: Schedule { weights, wire, step, steps, period, .. }, network, .. } = self;
        let bytes = short((self.schedule.blocks() * wire.block_bytes() as u64) as f64);
        let hiding = match self.schedule.overlap {
            0 => "not overlapped".to_owned(),
            overlap => format!("overlapped with {overlap} steps"),
        };
        let parts = match self.schedule.fragments {
            1 => "whole".to_owned(),
            parts => format!("in {parts} fragments"),
        };
        let outer = match self.outer {
            OuterName::Interpolation => "interpolation".to_owned(),
            OuterName::HeavyBall => format!("heavy ball of {}", self.momentum),
            OuterName::Nesterov => format!("Nesterov of {}", self.momentum),
            OuterName::SlowMo => format!("SlowMo of {}", self.momentum),
        };
        format!(
            "{steps} steps of {} s, outer step each {period}: {outer}, alpha {}\n\
             {} weights as {} ({bytes} bytes), {parts}, {hiding}\n\
             {} bytes a second, {} s a message\n",
            short(*step),
            self.alpha,
            short(*weights as f64),
            Wire::name(*wire),
            short(network.bandwidth),
            short(network.latency),
        )
    }
}

/// A line for each number of workers, a column for each period.
fn grid(text: &mut String, losses: &[Loss]) -> std::fmt::Result {
    write!(text, "{:>7}", "workers")?;
    PERIODS.iter().try_for_each(|period| write!(text, " {:>11}", format!("H = {period}")))?;
    writeln!(text)?;
    for row in losses.chunks(PERIODS.len()) {
        write!(text, "{:>7}", row[0].cell.workers)?;
        row.iter().try_for_each(|Loss { loss, .. }| write!(text, " {:>11}", short(*loss)))?;
        writeln!(text)?;
    }
    Ok(())
}

/// Four digits of a number.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "diverged".to_owned();
    }
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        let text = format!("{value:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", trimmed(digits));
    }
    let whole = size.max(1e-3).log10().floor() as i32 + 1;
    trimmed(&format!("{value:.*}", (4 - whole).max(0) as usize)).to_owned()
}

/// Without zeros at the end that say nothing.
fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// A sentence as lines with a dash before the first.
fn wrapped(sentence: &str) -> String {
    const WIDTH: usize = 98;
    let (mut text, mut line) = (String::new(), "-".to_owned());
    for word in sentence.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            text += &format!("{line}\n");
            line = " ".to_owned();
        }
        line += &format!(" {word}");
    }
    text + &line + "\n"
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn report(words: &[&str]) -> Report {
        let arguments = Arguments::parse_from([&["scale"], words].concat());
        arguments.check().unwrap();
        let logistic = cells().iter().map(|cell| Loss { cell: *cell, loss: 1e-3 }).collect();
        Report::new(&arguments, logistic)
    }

    // Finds: a column that grows out of the terminal where numbers are large or small.
    #[test]
    fn tables_fit_a_hundred_columns() {
        for words in [
            &[][..],
            &["--weights", "1e15", "--bandwidth", "1", "--latency", "1e3", "--step", "1e6"],
            &["--weights", "1", "--bandwidth", "1e15", "--latency", "1e-12", "--step", "1e-9"],
            &["--outer", "nesterov", "--momentum", "0.999999", "--lr", "1.9999", "--period", "3"],
            &["--fragments", "16", "--wire", "int8"],
        ] {
            let text = report(words).text();
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= 100 && text.lines().count() > 30, "{longest} columns:\n{text}");
        }
    }

    #[test]
    fn numbers_have_four_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (0.012345, "0.01235"),
            (123.456, "123.5"),
            (99_999.6, "100000"),
            (1e8, "1e8"),
            (1.25e9, "1.25e9"),
            (0.00012345, "1.234e-4"),
            (f64::NAN, "diverged"),
        ] {
            assert_eq!(short(value), expected);
        }
    }

    // Finds: losses in the place of others.
    #[test]
    fn rows_and_grids_agree() {
        let report = report(&["--period", "64"]);
        assert_eq!((report.rows.len(), report.quadratic.len()), (13, 35));
        for Loss { cell, loss } in report.quadratic.iter().filter(|loss| loss.cell.period == 64) {
            let row = report.rows.iter().find(|row| row.round.workers == cell.workers).unwrap();
            assert_eq!(row.loss, *loss);
        }
    }
}
