//! Slots of the control ring that were written before they were due. Each write is a copy and two barriers before the
//! submission's own commands, which a short step waits for.

use crate::layout::params::SLOT;

/// Steps that are written ahead at most.
const MOST: u32 = 32;

/// The last write: what is in the slots from a first one on.
#[derive(Debug)]
pub(crate) struct Ahead {
    first: u32,
    words: Vec<u8>,
    /// How many steps to look ahead: more as long as what was foreseen comes.
    steps: u32,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { first: 0, words: vec![], steps: 1 }
    }
}

impl Ahead {
    /// Whether the slots from this one on hold these words.
    pub fn holds(&mut self, slot: u32, words: &[u8]) -> bool {
        // Where the last write began, another chunk does: its own first slot was used by the step that wrote it.
        let slots = slot.checked_sub(self.first).filter(|slots| *slots > 0);
        let Some(begin) = slots.map(|slots| slots as usize * SLOT) else { return false };
        let there = self.words.get(begin..begin + words.len());
        if there.is_none() && begin == self.words.len() {
            self.steps = (2 * self.steps).min(MOST);
        } else if there != Some(words) {
            self.steps = 1;
        }
        there == Some(words)
    }

    /// The words to write from this slot on: those that are told, and what `foresee` adds of so many steps.
    pub fn renew(&mut self, slot: u32, words: &[u8], foresee: impl FnOnce(u32, &mut Vec<u8>)) -> &[u8] {
        self.first = slot;
        self.words.clear();
        self.words.extend_from_slice(words);
        foresee(self.steps, &mut self.words);
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slot that is told this.
    fn slot(value: u8) -> Vec<u8> {
        vec![value; SLOT]
    }

    /// How many steps ahead were asked for, if it was written: slots are told their number.
    fn written(ahead: &mut Ahead, number: u32, words: &[u8]) -> Option<u32> {
        let mut asked = None;
        if !ahead.holds(number, words) {
            ahead.renew(number, words, |steps, words| {
                asked = Some(steps);
                (1..=steps).for_each(|step| words.extend(slot((number + step) as u8)));
            });
        }
        asked
    }

    #[test]
    fn what_comes_as_foreseen_is_not_written_again() {
        let mut ahead = Ahead::default();
        let all: Vec<_> = (0..12).map(|number| written(&mut ahead, number, &slot(number as u8))).collect();
        let rest = [None; 4];
        assert_eq!(all[..5], [Some(1), None, Some(2), None, None]);
        assert_eq!((all[5], &all[6..10], all[10]), (Some(4), &rest[..], Some(8)));
    }

    #[test]
    fn what_comes_otherwise_is_written_and_less_is_foreseen() {
        let mut ahead = Ahead::default();
        (0..10).for_each(|number| _ = written(&mut ahead, number, &slot(number as u8)));
        assert_eq!(written(&mut ahead, 10, &slot(10)), Some(8));
        assert_eq!(written(&mut ahead, 11, &slot(99)), Some(1));
        assert_eq!(written(&mut ahead, 12, &slot(99)), Some(1), "foreseen as 12");
    }

    #[test]
    fn another_chunk_holds_nothing() {
        let mut ahead = Ahead::default();
        written(&mut ahead, 5, &slot(5));
        assert_eq!(written(&mut ahead, 0, &slot(0)), Some(1));
        assert_eq!(written(&mut ahead, 0, &slot(1)), Some(1), "and another one after it");
    }

    #[test]
    fn the_first_chunk_is_not_there_before_it_was_written() {
        assert_eq!(written(&mut Ahead::default(), 0, &slot(0)), Some(1));
    }
}
