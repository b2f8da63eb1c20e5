//! The table of rounds, for people or as JSON.

use std::time::Instant;

use lookahead_mpi::{Outcome, Report};
use serde_json::{Value, json};

/// A round, or some rounds that one row tells of.
pub struct Row {
    /// The last one's.
    pub report: Report,
    /// Mean loss over all ranks' images since the row before.
    pub loss: f64,
    /// Steps before them.
    pub begun: u64,
}

/// Rows so far.
pub struct Table {
    prints: bool,
    rows: Vec<Value>,
    /// Of rounds that have no row yet.
    bytes: u64,
    seconds: f64,
    /// Of all.
    total: u64,
    begun: Instant,
}

impl Table {
    pub fn new(prints: bool) -> Self {
        Self { prints, rows: vec![], bytes: 0, seconds: 0.0, total: 0, begun: Instant::now() }
    }

    pub fn begin(&self, title: &str) {
        self.say(title);
        let [round, steps, loss, bytes] = ["round", "steps", "loss", "bytes sent"];
        self.say(&format!("{round:>6} {steps:>7} {loss:>10} {bytes:>12} {:>9}  waited, by rank", "seconds"));
    }

    pub fn say(&self, line: &str) {
        if self.prints {
            println!("{line}");
        }
    }

    /// A round that has no row of its own.
    pub fn add(&mut self, report: &Report) {
        self.bytes += report.bytes;
        self.seconds += report.seconds;
        self.total += report.bytes;
    }

    pub fn row(&mut self, row: Row) {
        let Row { report, loss, begun } = row;
        self.add(&report);
        let (bytes, seconds) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.seconds));
        let Report { round, steps, outcome, waited, overlapped, .. } = &report;
        let each: Vec<_> = waited.iter().map(|seconds| format!("{seconds:.3}")).collect();
        let each = each.join(" ");
        let note = match outcome {
            Outcome::Synchronised => String::new(),
            Outcome::Discarded { ranks } => format!("  discarded: not finite on {ranks:?}"),
            Outcome::Postponed { ranks } => format!("  postponed: no step on {ranks:?}"),
        };
        self.say(&format!("{round:>6} {steps:>7} {loss:>10.4} {bytes:>12} {seconds:>9.3}  {each}{note}"));
        self.rows.push(json!({
            "round": round, "steps": steps, "from_step": begun, "loss": loss, "bytes": bytes, "seconds": seconds,
            "waited": waited, "overlapped": overlapped, "outcome": outcome,
        }));
    }

    pub fn end(&self, json: bool, ranks: usize, accuracy: f64, hash: u64) {
        let seconds = self.begun.elapsed().as_secs_f64();
        if json {
            let (rounds, bytes) = (&self.rows, self.total);
            let hash = format!("{hash:016x}");
            println!(
                "{}",
                json!({
                    "ranks": ranks, "accuracy": accuracy, "seconds": seconds, "bytes": bytes, "hash": hash, "rounds": rounds,
                })
            );
        } else {
            let (percent, bytes) = (100.0 * accuracy, self.total);
            println!("test accuracy {percent:.1} % after {seconds:.1} s, {bytes} bytes sent by rank 0");
        }
    }
}
