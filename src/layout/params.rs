//! The words that kernels are told with each dispatch, and those that the guard keeps on the GPU.

use bytemuck::{Pod, Zeroable};

use crate::{
    config::lookahead::Lookahead,
    rules::{MAX_HYPER, MAX_SLOTS},
};

/// `Control` of `shaders/control.wgsl`.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Control {
    pub flags: u32,
    pub lr: f32,
    pub pull: f32,
    pub clip: f32,
    pub l2: f32,
    pub shrink: f32,
    pub decay: f32,
    pub gain: f32,
    pub outer: [f32; 4],
    pub share: f32,
    pub draw: u32,
    pub fisher: [f32; 2],
    pub curvature: [f32; 2],
    pub padding: [u32; 2],
    pub initial: [f32; MAX_SLOTS],
    /// Read by the guard alone.
    pub order: Order,
}

/// Bytes from one block of a slot to the next: the largest uniform offset alignment of WebGPU.
pub(crate) const BLOCK: usize = 256;

/// Bytes of a slot: the control block, then the group's `Hyper`.
pub(crate) const SLOT: usize = 2 * BLOCK;

/// Pushes a slot of these words to `out`.
pub(crate) fn push_slot(control: &Control, hyper: &[f32], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(bytemuck::bytes_of(control));
    out.resize(start + BLOCK, 0);
    out.extend_from_slice(bytemuck::cast_slice(hyper));
    out.resize(start + BLOCK + 4 * MAX_HYPER, 0);
}

/// What a dispatch does; the bits of `Control.flags` in `shaders/control.wgsl`.
pub(crate) mod flags {
    pub const UPDATE: u32 = 1;
    pub const SYNC: u32 = 2;
    pub const SEED: u32 = 4;
    pub const AVERAGE: u32 = 8;
    pub const GATHER: u32 = 16;
    pub const FRESH: u32 = 32;
    pub const FIXED: u32 = 64;
    pub const GATHERED: u32 = 128;
}

/// Word of the clock that holds 1 / loss scale.
pub(crate) const UNSCALE: usize = 4;
/// Word of the clock that holds the steps taken when the average was begun.
const AVERAGE_START: usize = 5;
/// Word of the clock that holds the loss scale: byte 256, so that it can be bound.
pub(crate) const SCALE: usize = 64;
/// Word of the clock at which the groups begin.
const GROUPS: usize = 128;
/// Rows of each table, as in the shader: how many steps can be skipped in all before no more are taken.
pub(crate) const ROWS: u64 = 4096;

/// What the order of a group adds to its `Control`: words 28 and on of a slot.
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Order {
    pub kind: u32,
    pub group: u32,
    pub k: u32,
    pub factor: f32,
    pub decoupled: f32,
    pub steps: u32,
    pub count: u32,
    pub hypers: u32,
    pub results: u32,
    pub growth: f32,
    pub backoff: f32,
    pub interval: u32,
    pub table: u32,
}

/// Bits of `Order::kind`.
pub(crate) mod kind {
    pub const UPDATES: u32 = 1;
    pub const LOOKAHEAD: u32 = 2;
    pub const ADAPTIVE: u32 = 4;
    pub const SYNCHRONISED: u32 = 8;
    pub const RESETS: u32 = 16;
    pub const LAST: u32 = 32;
    pub const SYNC_NOW: u32 = 64;
    pub const START: u32 = 128;
    pub const RESEED: u32 = 256;
}

/// What the clock holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClockWords {
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
}

/// k and 1 - alpha of a cycle: what they were when it began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cycle {
    pub k: u32,
    pub pull: f32,
}

impl Cycle {
    /// Of a cycle that begins with these settings.
    pub fn of(lookahead: Option<&Lookahead>) -> Self {
        lookahead.map_or(Self { k: 1, pull: 0.0 }, |lookahead| Self {
            k: lookahead.k,
            pull: (1.0 - lookahead.alpha) as f32,
        })
    }
}

impl ClockWords {
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let words: Vec<u32> = bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        let groups = || words.get(GROUPS..).unwrap_or_default().chunks_exact(4);
        Self {
            steps: u64::from(words[0]),
            skipped: u64::from(words[1]),
            tracker: words[2],
            scale: f32::from_bits(words[SCALE]),
            unscale: f32::from_bits(words[UNSCALE]),
            average_start: u64::from(words[AVERAGE_START]),
            groups: groups().map(|group| (u64::from(group[0]), group[1])).collect(),
            cycles: groups().map(|group| Cycle { k: group[2], pull: f32::from_bits(group[3]) }).collect(),
        }
    }

    pub fn encode(&self) -> Vec<u32> {
        let mut words = vec![0; GROUPS];
        words[0] = self.steps as u32;
        words[1] = self.skipped as u32;
        words[2] = self.tracker;
        words[UNSCALE] = self.unscale.to_bits();
        words[AVERAGE_START] = self.average_start as u32;
        words[SCALE] = self.scale.to_bits();
        for ((count, position), cycle) in self.groups.iter().zip(&self.cycles) {
            words.extend([*count as u32, *position, cycle.k, cycle.pull.to_bits()]);
        }
        words
    }
}

/// A group's tables, as the last `ROWS` steps would have written them: the row of each step before `steps`, and of
/// each count up to `count`, the latest. `by_step` gives a step's factor and share, `by_count` adds a count's row.
pub(crate) fn tables(
    steps: u64,
    count: u64,
    hypers: u32,
    by_step: impl Fn(u64) -> [f32; 2],
    by_count: impl Fn(u64, &mut Vec<u32>),
) -> Vec<u32> {
    let width = 2 + hypers as usize;
    let mut words = vec![0; ROWS as usize * (3 + width)];
    let (step_rows, count_rows) = words.split_at_mut(3 * ROWS as usize);
    for step in steps.saturating_sub(ROWS)..steps {
        let [factor, share] = by_step(step);
        let row = 3 * (step % ROWS) as usize;
        step_rows[row..row + 3].copy_from_slice(&[step as u32 + 1, factor.to_bits(), share.to_bits()]);
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
