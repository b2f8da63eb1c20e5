//! What the commands themselves print, and the closing summary.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::time::{Duration, Instant};

/// Prints a line. Unlike `println!`, does not panic when the reader has gone (`| head`).
pub fn line(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

/// Prints an error.
pub fn error(text: impl Display) {
    let _ = writeln!(stderr(), "error: {text}");
}

/// Prints the heading of a step.
pub fn heading(text: impl Display) {
    line(format_args!("\n==> {text}"));
}

/// How a step ended. The texts say what was missing or what failed.
pub enum Outcome {
    Passed,
    /// Not everything was there, and nothing requires it to be.
    Incomplete(Vec<String>),
    Failed(Vec<String>),
}

impl Outcome {
    /// Passed, or failed with the error's text.
    pub fn of(result: Result<(), impl Display>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(error) => Self::Failed(vec![error.to_string()]),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(_) => "FAILED",
        }
    }
}

struct Row {
    step: String,
    outcome: Outcome,
    time: Duration,
}

/// The steps that have run, for the closing summary.
#[derive(Default)]
pub struct Summary {
    rows: Vec<Row>,
}

impl Summary {
    /// Runs a step under its heading.
    pub fn step(&mut self, step: &str, about: &str, run: impl FnOnce() -> Outcome) {
        heading(format_args!("{step}: {about}"));
        let start = Instant::now();
        let outcome = run();
        if let Outcome::Failed(reasons) = &outcome {
            reasons.iter().for_each(error);
        }
        self.rows.push(Row { step: step.to_owned(), outcome, time: start.elapsed() });
    }

    /// Whether no step failed.
    pub fn passed(&self) -> bool {
        !self.rows.iter().any(|row| matches!(row.outcome, Outcome::Failed(_)))
    }

    /// The table of steps, then what was missing and what failed.
    pub fn text(&self) -> String {
        let width = self.rows.iter().map(|row| row.step.len()).max();
        let width = width.unwrap_or(0).max("step".len());
        let mut text = format!("{:width$}  {:10}  {:>7}\n", "step", "result", "seconds");
        for Row { step, outcome, time } in &self.rows {
            let (result, seconds) = (outcome.word(), time.as_secs_f64());
            text += &format!("{step:width$}  {result:10}  {seconds:7.1}\n");
        }
        for row in &self.rows {
            let (word, reasons) = match &row.outcome {
                Outcome::Passed => continue,
                Outcome::Incomplete(reasons) => ("missing", reasons),
                Outcome::Failed(reasons) => ("failed", reasons),
            };
            for reason in reasons {
                text += &format!("\n{word}: {}: {reason}", row.step);
            }
        }
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(outcomes: Vec<(&str, Outcome)>) -> Summary {
        let row = |(step, outcome): (&str, Outcome)| Row {
            step: step.to_owned(),
            outcome,
            time: Duration::from_millis(1_250),
        };
        Summary { rows: outcomes.into_iter().map(row).collect() }
    }

    #[test]
    fn the_summary_lists_the_steps_and_says_what_was_missing() {
        let summary = summary(vec![
            ("adapters", Outcome::Incomplete(vec!["no SwiftShader".into()])),
            ("tests", Outcome::Passed),
        ]);
        assert!(summary.passed());
        assert_eq!(
            summary.text(),
            "step      result      seconds\n\
             adapters  incomplete      1.2\n\
             tests     ok              1.2\n\
             \n\
             missing: adapters: no SwiftShader"
        );
    }

    #[test]
    fn one_failed_step_fails_the_whole() {
        let summary = summary(vec![
            ("adapters", Outcome::Passed),
            ("tests", Outcome::Failed(vec!["cargo test failed".into()])),
        ]);
        assert!(!summary.passed());
        assert!(summary.text().ends_with("\nfailed: tests: cargo test failed"));
    }
}
