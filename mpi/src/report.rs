//! What came of a round.

use serde::Serialize;

/// What came of a round, or of a step where gradients are exchanged. All ranks are given the same but for `bytes` and
/// `seconds`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Rounds so far, this one included.
    pub round: u64,
    /// Steps of the optimizer so far.
    pub steps: u64,
    /// What was done.
    pub outcome: Outcome,
    /// Bytes that this rank sent to others.
    pub bytes: u64,
    /// Seconds that the exchange took here: packing, waiting, sending, unpacking and the outer step.
    pub seconds: f64,
    /// Seconds that each rank waited for the last one to come: a straggler waits least.
    pub waited: Vec<f64>,
    /// A hash of what all ranks have the same bits of.
    pub hash: u64,
}

impl Report {
    /// The rank that the others waited for: the one that waited least. None where no rank waited for longer than
    /// `seconds`.
    pub fn straggler(&self, seconds: f64) -> Option<usize> {
        let longest = self.waited.iter().copied().fold(0.0, f64::max);
        let least = (0..self.waited.len()).min_by(|a, b| self.waited[*a].total_cmp(&self.waited[*b]));
        least.filter(|_| longest > seconds)
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The mean was taken, and the step on it.
    Synchronised,
    /// A value of these ranks was not finite, and all ranks gave up what they had: the steps of the round, so that the
    /// fast weights are at the slow ones again, or the gradients of the step.
    Discarded {
        /// The ranks.
        ranks: Vec<usize>,
    },
    /// The guards of these ranks have skipped every step of the round: nothing was exchanged, and the round goes on for as
    /// many steps again.
    Postponed {
        /// The ranks.
        ranks: Vec<usize>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_straggler_is_the_one_that_waits_least() {
        let report = Report {
            round: 1,
            steps: 5,
            outcome: Outcome::Synchronised,
            bytes: 0,
            seconds: 1.0,
            waited: vec![0.5, 0.001, 0.4],
            hash: 0,
        };
        assert_eq!((report.straggler(0.1), report.straggler(1.0)), (Some(1), None));
    }
}
