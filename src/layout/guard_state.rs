//! What the guard keeps on the GPU: its state, and tables of what a step needs that comes late.

use super::params::{ROWS, group, guard_state, row};
use crate::config::lookahead::Lookahead;

/// What it holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GuardState {
    pub steps: u64,
    pub skipped: u64,
    /// Finite steps in a row since the loss scale changed.
    pub tracker: u32,
    pub scale: f32,
    /// 1 / scale, as the GPU rounded it.
    pub unscale: f32,
    /// Steps taken when the average was begun.
    pub average_start: u64,
    /// Count and position of each group.
    pub groups: Vec<(u64, u32)>,
    /// What each group's cycle has latched.
    pub cycles: Vec<Cycle>,
    /// How many iterates of it were kept, of which none is missing before.
    pub kept: Vec<u32>,
}

/// k and 1 - alpha of a cycle: what they were when it began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cycle {
    pub k: u32,
    pub one_minus_alpha: f32,
}

impl Cycle {
    /// Of a cycle that begins with these settings.
    pub fn of(lookahead: Option<&Lookahead>) -> Self {
        lookahead.map_or(Self { k: 1, one_minus_alpha: 0.0 }, |lookahead| Self {
            k: lookahead.k,
            one_minus_alpha: (1.0 - lookahead.alpha) as f32,
        })
    }
}

impl GuardState {
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let words: Vec<u32> = bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        let groups = || words.get(guard_state::GROUPS..).unwrap_or_default().chunks_exact(group::WORDS);
        Self {
            steps: u64::from(words[guard_state::STEPS]),
            skipped: u64::from(words[guard_state::SKIPPED]),
            tracker: words[guard_state::TRACKER],
            scale: f32::from_bits(words[guard_state::SCALE]),
            unscale: f32::from_bits(words[guard_state::UNSCALE]),
            average_start: u64::from(words[guard_state::AVERAGE_START]),
            groups: groups().map(|group| (u64::from(group[group::COUNT]), group[group::POSITION])).collect(),
            cycles: groups()
                .map(|group| Cycle {
                    k: group[group::CYCLE_K],
                    one_minus_alpha: f32::from_bits(group[group::CYCLE_ONE_MINUS_ALPHA]),
                })
                .collect(),
            kept: groups().map(|group| group[group::KEPT]).collect(),
        }
    }

    pub fn encode(&self) -> Vec<u32> {
        let mut words = vec![0; guard_state::GROUPS];
        words[guard_state::STEPS] = self.steps as u32;
        words[guard_state::SKIPPED] = self.skipped as u32;
        words[guard_state::TRACKER] = self.tracker;
        words[guard_state::UNSCALE] = self.unscale.to_bits();
        words[guard_state::AVERAGE_START] = self.average_start as u32;
        words[guard_state::SCALE] = self.scale.to_bits();
        for (((count, position), cycle), kept) in self.groups.iter().zip(&self.cycles).zip(&self.kept) {
            words.extend([*count as u32, *position, cycle.k, cycle.one_minus_alpha.to_bits(), *kept]);
        }
        words
    }
}

/// A group's tables, as the last `ROWS` steps would have written them: the row of each step before `steps`, and of
/// each count up to `count`, the latest. `by_step` gives a step's factor and weight in the average, `by_count` adds a count's row.
pub(crate) fn tables(
    steps: u64,
    count: u64,
    hypers: u32,
    by_step: impl Fn(u64) -> [f32; 2],
    by_count: impl Fn(u64, &mut Vec<u32>),
) -> Vec<u32> {
    let width = row::HYPER + hypers as usize;
    let mut words = vec![0; ROWS as usize * (row::STEP_WORDS + width)];
    let (step_rows, count_rows) = words.split_at_mut(row::STEP_WORDS * ROWS as usize);
    for step in steps.saturating_sub(ROWS)..steps {
        let [factor, average_weight] = by_step(step);
        let row = &mut step_rows[row::STEP_WORDS * (step % ROWS) as usize..][..row::STEP_WORDS];
        row[row::STEP] = step as u32 + 1;
        (row[row::FACTOR], row[row::AVERAGE_WEIGHT]) = (factor.to_bits(), average_weight.to_bits());
    }
    let mut row = Vec::new();
    for count in (count + 1).saturating_sub(ROWS).max(1)..=count {
        row.clear();
        by_count(count, &mut row);
        let at = width * (count % ROWS) as usize;
        let place = &mut count_rows[at..at + width];
        place
            .iter_mut()
            .zip(std::iter::once(count as u32).chain(row.iter().copied()))
            .for_each(|(to, from)| *to = from);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `shaders/guard.wgsl` writes them, one step and one count after the other.
    #[test]
    fn tables_are_those_of_the_last_steps() {
        let by_step = |step: u64| [step as f32, -1.0];
        let by_count = |count: u64, row: &mut Vec<u32>| row.extend([count as u32 + 7, 8, 9]);
        for (steps, count) in [(0, 0), (1, 1), (3, 2), (4096, 4095), (4097, 4096), (10_000, 9_000)] {
            let (start, width) = (3 * ROWS as usize, 4);
            let mut expected = vec![0; start + width * ROWS as usize];
            for step in 0..steps {
                let row = 3 * (step % ROWS) as usize;
                let words = [step as u32 + 1, (step as f32).to_bits(), (-1.0f32).to_bits()];
                expected[row..row + 3].copy_from_slice(&words);
            }
            for count in 1..=count {
                let row = start + width * (count % ROWS) as usize;
                expected[row..row + width].copy_from_slice(&[count as u32, count as u32 + 7, 8, 9]);
            }
            assert_eq!(tables(steps, count, 2, by_step, by_count), expected, "{steps}, {count}");
        }
    }
}
