//! What came of a round.

use serde::Serialize;

use crate::meeting::Hash;

/// What came of a round, or of a step where gradients are exchanged. All ranks are given the same but for `bytes`, `seconds`,
/// `overlapped` and, with a guard, `steps`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Rounds so far, this one included.
    pub round: u64,
    /// Which fragment was exchanged, from 0; none for the whole model.
    pub fragment: Option<usize>,
    /// Steps of the optimizer so far.
    pub steps: u64,
    /// What was done.
    pub outcome: Outcome,
    /// Bytes that this rank sent to others.
    pub bytes: u64,
    /// Seconds that steps had to wait here, for packing, the other ranks, what is sent, unpacking and the outer step.
    pub seconds: f64,
    /// Seconds that a streamed fragment's exchange took, from when this rank had it packed; 0 between steps.
    pub overlapped: f64,
    /// Seconds that each rank waited for the last one to come: a straggler waits least.
    pub waited: Vec<f64>,
    /// Ranks whose adapter has rounded the outer step otherwise than rank 0's, and which were sent what that has.
    pub mended: Vec<usize>,
    /// A hash of what all ranks have the same bits of.
    pub hash: u64,
}

impl Report {
    /// Of exchanges at once, which end this round after so many steps: the last one's, with the sums of bytes and seconds,
    /// the longest waits of each rank, and of the first that was not synchronised what was done.
    pub(crate) fn of_all(reports: Vec<Self>, round: u64, steps: u64, ranks: usize) -> Self {
        let (outcome, waited) = (Outcome::Synchronised, vec![0.0; ranks]);
        let none = || Self {
            round,
            fragment: None,
            steps,
            outcome,
            bytes: 0,
            seconds: 0.0,
            overlapped: 0.0,
            waited,
            mended: vec![],
            hash: 0,
        };
        let both = |all: Self, one: Self| {
            let mut hash = Hash::new();
            [all.hash, one.hash].into_iter().for_each(|word| hash.word(word));
            Self {
                fragment: None,
                outcome: if all.outcome == Outcome::Synchronised { one.outcome } else { all.outcome },
                bytes: all.bytes + one.bytes,
                seconds: all.seconds + one.seconds,
                overlapped: all.overlapped + one.overlapped,
                waited: all.waited.iter().zip(&one.waited).map(|(all, one)| all.max(*one)).collect(),
                mended: [all.mended, one.mended].concat(),
                hash: hash.0,
                ..one
            }
        };
        reports.into_iter().reduce(both).map_or_else(none, |all| Self { fragment: None, ..all })
    }

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

    fn report(outcome: Outcome, waited: Vec<f64>) -> Report {
        let (fragment, steps, bytes) = (Some(1), 5, 10);
        Report {
            round: 1,
            fragment,
            steps,
            outcome,
            bytes,
            seconds: 1.0,
            overlapped: 2.0,
            waited,
            mended: vec![],
            hash: 3,
        }
    }

    #[test]
    fn rounds_at_once_are_summed() {
        let discarded = Outcome::Discarded { ranks: vec![1] };
        let one = report(discarded.clone(), vec![0.5, 0.0]);
        let all = Report::of_all(vec![one, report(Outcome::Synchronised, vec![0.1, 0.2])], 1, 5, 2);
        assert_eq!((all.fragment, all.bytes, all.seconds, all.overlapped), (None, 20, 2.0, 4.0));
        assert_eq!((all.outcome, all.waited), (discarded, vec![0.5, 0.2]));
        let single = report(Outcome::Synchronised, vec![0.0]);
        assert_eq!(Report::of_all(vec![single.clone()], 1, 5, 1), Report { fragment: None, ..single });
        assert_eq!(Report::of_all(vec![], 7, 9, 2).waited, [0.0, 0.0]);
    }

    #[test]
    fn the_straggler_is_the_one_that_waits_least() {
        let report = report(Outcome::Synchronised, vec![0.5, 0.001, 0.4]);
        assert_eq!((report.straggler(0.1), report.straggler(1.0)), (Some(1), None));
    }
}
