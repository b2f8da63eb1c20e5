//! When fragments are sent and merged: a place in the period, in steps.

/// Steps of a period, and how its fragments divide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timetable {
    /// H.
    pub period: u32,
    /// P, at most H.
    pub fragments: u32,
    /// Steps from sending a fragment to merging it.
    pub overlap: u32,
}

/// Where a worker stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Exchanges that were begun, each of one fragment.
    pub turn: u64,
    /// The optimizer's steps at this mark.
    mark: u64,
    /// Steps since the last exchange was begun, at the mark.
    since: u64,
    /// An exchange is under way.
    pub is_under_way: bool,
}

impl Timetable {
    /// Of a model that is exchanged as a whole.
    pub fn whole(period: u32) -> Self {
        Self { period, fragments: 1, overlap: 0 }
    }

    /// The fewest steps between two turns.
    pub fn least_gap(&self) -> u32 {
        self.period / self.fragments
    }

    /// Where a worker stands that has taken so many steps of its optimizer: at the beginning, or after this many turns
    /// right after the last one's merge.
    pub fn at(&self, turn: u64, steps: u64) -> Place {
        let since = if turn == 0 { 0 } else { u64::from(self.overlap) };
        Place { turn, mark: steps, since, is_under_way: false }
    }

    /// The fragment whose turn a turn is.
    pub fn fragment(&self, turn: u64) -> usize {
        (turn % u64::from(self.fragments)) as usize
    }

    /// Steps from the turn before to this one.
    fn gap(&self, turn: u64) -> u64 {
        let end = |fragment: u64| fragment * u64::from(self.period) / u64::from(self.fragments);
        let fragment = self.fragment(turn) as u64;
        end(fragment + 1) - end(fragment)
    }

    /// Whether the next exchange is to be begun.
    pub fn begins(&self, place: &Place, steps: u64) -> bool {
        !place.is_under_way && place.position(steps) >= self.gap(place.turn)
    }

    /// Whether the one under way is to be merged.
    pub fn merges(&self, place: &Place, steps: u64) -> bool {
        place.is_under_way && place.position(steps) >= u64::from(self.overlap)
    }

    /// The first turn of the period after that of a turn.
    pub fn next_period(&self, turn: u64) -> u64 {
        let fragments = u64::from(self.fragments);
        (turn / fragments + 1) * fragments
    }
}

impl Place {
    /// After an exchange was begun.
    pub fn begun(self, steps: u64) -> Self {
        Self { turn: self.turn + 1, mark: steps, since: 0, is_under_way: true }
    }

    /// Steps since the last exchange was begun.
    pub fn position(&self, steps: u64) -> u64 {
        self.since + steps.saturating_sub(self.mark)
    }

    /// Whether no step was taken since the last merge, or the beginning.
    pub fn is_settled(&self, steps: u64) -> bool {
        !self.is_under_way && steps <= self.mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps at which fragments are sent, and those at which they are merged.
    fn run(timetable: Timetable, steps: u64) -> [Vec<(u64, usize)>; 2] {
        let (mut sent, mut merged) = (vec![], vec![]);
        let mut place = timetable.at(0, 100);
        for step in 1..=steps {
            // Of an optimizer that had taken some before.
            let steps = 100 + step;
            for _ in 0..2 {
                if timetable.merges(&place, steps) {
                    merged.push((step, timetable.fragment(place.turn - 1)));
                    place = timetable.at(place.turn, steps);
                }
                if timetable.begins(&place, steps) {
                    sent.push((step, timetable.fragment(place.turn)));
                    place = place.begun(steps);
                }
            }
        }
        [sent, merged]
    }

    #[test]
    fn a_whole_model_is_exchanged_at_the_end_of_each_period() {
        let [sent, merged] = run(Timetable::whole(4), 12);
        assert_eq!(sent, [(4, 0), (8, 0), (12, 0)]);
        assert_eq!(merged, sent);
    }

    #[test]
    fn fragments_divide_a_period_and_are_merged_later() {
        let timetable = Timetable { period: 10, fragments: 3, overlap: 2 };
        assert_eq!(timetable.least_gap(), 3);
        let [sent, merged] = run(timetable, 23);
        assert_eq!(sent, [(3, 0), (6, 1), (10, 2), (13, 0), (16, 1), (20, 2), (23, 0)]);
        let later: Vec<_> = sent[..6].iter().map(|(step, fragment)| (step + 2, *fragment)).collect();
        assert_eq!(merged, later);
        assert_eq!(run(Timetable { period: 3, fragments: 3, overlap: 0 }, 3)[0], [(1, 0), (2, 1), (3, 2)]);
    }

    #[test]
    fn a_run_goes_on_from_any_merge() {
        let timetable = Timetable { period: 10, fragments: 3, overlap: 2 };
        let [sent, _] = run(timetable, 40);
        for (turn, pair) in sent.windows(2).enumerate() {
            let (merged, place) = (pair[0].0 + 2, timetable.at(turn as u64 + 1, 7));
            assert!(place.is_settled(7) && !place.is_settled(8));
            let next = (0..).find(|steps| timetable.begins(&place, 7 + steps)).unwrap();
            assert_eq!((merged + next, timetable.fragment(place.turn)), pair[1]);
        }
        assert_eq!([0, 1, 3, 4].map(|turn| timetable.next_period(turn)), [3, 3, 6, 6]);
    }
}
