//! Safe steps: a step whose gradient is not finite is skipped, and the GPU decides.
//!
//! A single infinite or NaN gradient ruins weights, state and slow weights for good. With a [`Guard`] each step first
//! looks at the gradients (the sum of the micro-batches, where there are several): if a value of a group that is not
//! frozen is not finite, the step changes **no bit** of weights, state, slow weights, averages, step count or position
//! in the cycle, and the learning-rate schedule does not advance. The run is bit-equal to one in which that step
//! never was. Nothing is read back for it, and a thousand steps in one encoder decide a thousand times.
//!
//! ```
//! # fn main() -> Result<(), lookahead_wgpu::Error> {
//! use lookahead_wgpu::{Guard, Half, Lookahead, LossScale, Optimizer, gpu::Gpu, rules::Adam};
//! # let gpu = Gpu::open_blocking(None)?;
//! let optimizer = Optimizer::builder(Adam::default())
//!     .lookahead(Lookahead::default())
//!     .half_gradients(Half::F16)
//!     .guard(Guard::loss_scale(LossScale::default()))
//!     .tensor("w", &[64])
//!     .build_blocking(&gpu.device, &gpu.queue)?;
//! let scale = optimizer.loss_scale(); // one f32 to bind: multiply the loss, or its gradient, with it
//! // ... steps ...
//! let counters = optimizer.counters_blocking()?; // whenever you want to know
//! println!("{} steps taken, {} skipped, loss scale {}", counters.steps, counters.skipped, counters.loss_scale);
//! # Ok(())
//! # }
//! ```
//!
//! **Loss scaling** ([`LossScale`], as `torch.amp.GradScaler`) keeps small half-width gradients from vanishing: the loss
//! is multiplied by a scale, the optimizer divides the gradient by it (so that clipping, decay and rules see the true
//! one), a step that overflows is skipped and lowers the scale, a row of steps that do not raises it.
//!
//! **What passes**: the guard looks at the gradient. A finite one may still make weights or state that are not finite:
//! Adam with `eps = 0` divides 0 by 0 where a gradient is 0, a gradient of 1e20 has a square beyond f32, and so may a large
//! learning rate have its product. [`Guard::check_updates`] skips such a step, too: the rule is run first without
//! anything being stored, and what it gives, weights and state, is looked at. The loss scale is left alone then. Rules that
//! move what they keep before the update (LAMB, AdaFactor) cannot be tried: building with them is
//! [`Error::Rule`]. Syncs are not tried: they interpolate between what has been. Weights that are not finite
//! already, uploaded so, make every step one to be skipped.
//!
//! **What it costs**: one more reading of the gradient, and one small dispatch for each group. Where a gradient norm is
//! taken for clipping, the same pass tells both. With `check_updates` one more reading of weights, gradient and state,
//! and the rule's arithmetic, twice in all; [`Optimizer::traffic`](crate::Optimizer::traffic) counts the bytes.
//! `cargo bench` has the figures of both: on a CPU (lavapipe) 1.6 and 2.4 times the time of Lookahead(Adam), for 1.14 and
//! 1.68 times its bytes.
//!
//! **Limits**: it is the scaled gradient that is looked at, as by PyTorch's scaler: where a loss scale below 1 makes a true
//! gradient of it that f32 does not hold, the step is taken (`check_updates` sees it). What only the GPU knows cannot be asked of the host: [`Optimizer::step_count`] and
//! [`Optimizer::position`] are errors, [`Optimizer::counters`] tells. `set_k` and `set_alpha` take effect at the next
//! cycle, whenever that is; all other settings at the next step, however many were skipped. Tables hold what a step needs that is late by up to 4096 skipped ones; after so many no
//! more are taken, until the state is exported and imported.
//!
//! [`Optimizer::step_count`]: crate::Optimizer::step_count
//! [`Optimizer::position`]: crate::Optimizer::position
//! [`Optimizer::counters`]: crate::Optimizer::counters

// `shaders/guard.wgsl` keeps the steps taken, each group's inner steps and position in its cycle, and the loss
// scale. The host goes on as if no step were skipped, and each step's order brings what the GPU will need at that
// step or, where it lags behind, later: the schedule's factor by step, the rule's hyperparameters by count.

use futures::FutureExt;

pub use crate::config::guard::{Guard, LossScale};
pub(crate) use crate::layout::params::{Order, ROWS, kind};
use crate::{
    config::lookahead::Lookahead,
    controls::{ControlRing, SLOT, slot_entries},
    error::Error,
    gpu,
    kernels::{self, Binding, Decision},
    layout::params::{clock, group, row},
    pipelines::Kernels,
};

/// Word of the clock that holds the loss scale.
pub(crate) const SCALE: usize = clock::SCALE;

/// The GPU's half of the schedule.
pub(crate) struct GuardState {
    pub clock: wgpu::Buffer,
    /// What the step's kernels are told: as a chunk of the control ring, two slots a group.
    pub live: wgpu::BindGroup,
    live_bytes: u64,
    table_bytes: u64,
    pipeline: wgpu::ComputePipeline,
    /// Tells the step's kernels what it would be, and changes nothing else.
    preview: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    tables_buffer: wgpu::Buffer,
    /// Where each group's tables start, in words.
    tables: Vec<u32>,
    /// Groups whose tables tell of settings that were changed since.
    stale: Vec<bool>,
    loss_scale: LossScale,
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
        let groups = || words.get(clock::GROUPS..).unwrap_or_default().chunks_exact(group::WORDS);
        Self {
            steps: u64::from(words[clock::STEPS]),
            skipped: u64::from(words[clock::SKIPPED]),
            tracker: words[clock::TRACKER],
            scale: f32::from_bits(words[clock::SCALE]),
            unscale: f32::from_bits(words[clock::UNSCALE]),
            average_start: u64::from(words[clock::AVERAGE_START]),
            groups: groups().map(|group| (u64::from(group[group::COUNT]), group[group::POSITION])).collect(),
            cycles: groups()
                .map(|group| Cycle {
                    k: group[group::CYCLE_K],
                    pull: f32::from_bits(group[group::CYCLE_PULL]),
                })
                .collect(),
        }
    }

    pub fn encode(&self) -> Vec<u32> {
        let mut words = vec![0; clock::GROUPS];
        words[clock::STEPS] = self.steps as u32;
        words[clock::SKIPPED] = self.skipped as u32;
        words[clock::TRACKER] = self.tracker;
        words[clock::UNSCALE] = self.unscale.to_bits();
        words[clock::AVERAGE_START] = self.average_start as u32;
        words[clock::SCALE] = self.scale.to_bits();
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
    let width = row::HYPER + hypers as usize;
    let mut words = vec![0; ROWS as usize * (row::STEP_WORDS + width)];
    let (step_rows, count_rows) = words.split_at_mut(row::STEP_WORDS * ROWS as usize);
    for step in steps.saturating_sub(ROWS)..steps {
        let [factor, share] = by_step(step);
        let row = &mut step_rows[row::STEP_WORDS * (step % ROWS) as usize..][..row::STEP_WORDS];
        row[row::STEP] = step as u32 + 1;
        (row[row::FACTOR], row[row::SHARE]) = (factor.to_bits(), share.to_bits());
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

/// A clock at its start.
pub(crate) async fn clock(device: &wgpu::Device, guard: Guard, groups: usize) -> Result<wgpu::Buffer, Error> {
    let scale = guard.scale().initial as f32;
    let words = ClockWords {
        steps: 0,
        skipped: 0,
        tracker: 0,
        scale,
        unscale: scale.recip(),
        average_start: 0,
        groups: vec![(0, 0); groups],
        cycles: vec![Cycle::of(None); groups],
    };
    let words = words.encode();
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let (clock, problem) = gpu::scoped(device, || gpu::filled(device, "lookahead clock", &words, usage));
    match problem.await {
        Some(problem) => Err(gpu::error(device, &problem, "the guard's clock")),
        None => Ok(clock),
    }
}

impl GuardState {
    /// `hypers`: how many members each group's `Hyper` has. `results`: the norm's, which say what is finite, and
    /// those of the updates that were tried, if they are.
    pub async fn new(
        device: &wgpu::Device,
        kernels: &mut Kernels,
        ring: &ControlRing,
        guard: Guard,
        clock: wgpu::Buffer,
        hypers: &[u32],
        (results, tried): (&wgpu::Buffer, Option<&wgpu::Buffer>),
    ) -> Result<Self, Error> {
        let mut bindings = vec![
            (0, Binding::ReadWrite),
            (1, Binding::ReadWrite),
            (2, Binding::ReadWrite),
            (3, Binding::Read),
        ];
        bindings.extend(tried.map(|_| (4, Binding::Read)));
        let layout = kernels.layout(&bindings);
        let layouts = [Some(&ring.layout), Some(&layout)];
        let decision = if tried.is_some() { Decision::Tried } else { Decision::AtOnce };
        let pipeline = kernels.pipeline("guard", &kernels::decide(decision), &layouts).await?;
        let preview = kernels.pipeline("guard", &kernels::decide(Decision::Preview), &layouts).await?;
        let mut words = 0;
        let mut tables = Vec::new();
        for hypers in hypers {
            tables.push(words as u32);
            words += ROWS * ((row::STEP_WORDS + row::HYPER) as u64 + u64::from(*hypers));
        }
        let loss_scale = guard.scale();
        let offered = device.limits().max_storage_buffer_binding_size.min(device.limits().max_buffer_size);
        if 4 * words > offered {
            return Err(Error::Limit {
                limit: "max_storage_buffer_binding_size",
                needed: 4 * words,
                offered,
                purpose: format!("the guard's tables of {} groups", hypers.len()),
            });
        }
        let live_bytes = 2 * (hypers.len() * SLOT) as u64;
        let (made, problem) = gpu::scoped(device, || {
            use wgpu::BufferUsages as Usages;
            let buffer = |label, size, usage| {
                device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size,
                    usage,
                    mapped_at_creation: false,
                })
            };
            let live = buffer("lookahead live controls", live_bytes, Usages::STORAGE | Usages::UNIFORM);
            let tables = buffer("lookahead guard tables", 4 * words, Usages::STORAGE | Usages::COPY_DST);
            let all = [Some(&clock), Some(&live), Some(&tables), Some(results), tried];
            let entries: Vec<_> = (0..)
                .zip(all.into_iter().flatten())
                .map(|(binding, buffer)| wgpu::BindGroupEntry {
                    binding,
                    resource: buffer.as_entire_binding(),
                })
                .collect();
            let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("lookahead guard"),
                layout: &layout,
                entries: &entries,
            });
            let live = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("lookahead live controls"),
                layout: &ring.layout,
                entries: &slot_entries(&live),
            });
            (live, bind_group, tables)
        });
        if let Some(problem) = problem.await {
            return Err(gpu::error(device, &problem, "the guard's buffers"));
        }
        let (live, bind_group, tables_buffer) = made;
        let stale = vec![false; tables.len()];
        let table_bytes = 4 * words;
        Ok(Self {
            clock,
            live,
            live_bytes,
            table_bytes,
            pipeline,
            preview,
            bind_group,
            tables_buffer,
            tables,
            stale,
            loss_scale,
        })
    }

    /// Bytes of the clock, the live controls and the tables.
    pub fn bytes(&self) -> u64 {
        self.clock.size() + self.live_bytes + self.table_bytes
    }

    /// The part of a group's order that is the guard's own; the rest is the caller's to fill in.
    pub fn order(&self, group: usize) -> Order {
        let scale = self.loss_scale;
        Order {
            group: group as u32,
            growth: scale.growth as f32,
            backoff: scale.backoff as f32,
            interval: scale.interval,
            table: self.tables[group],
            ..Order::default()
        }
    }

    /// A group's tables tell of settings that were changed: the next step brings new ones.
    pub fn set_stale(&mut self, group: usize) {
        self.stale[group] = true;
    }

    /// The groups whose tables are stale.
    pub fn stale(&self) -> Vec<usize> {
        (0..self.stale.len()).filter(|group| self.stale[*group]).collect()
    }

    /// All tables are new.
    pub fn refreshed(&mut self) {
        self.stale.fill(false);
    }

    /// Records that a group's tables are these words, as [`tables`] gives them.
    pub fn replace_tables(
        &self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        group: usize,
        words: &[u32],
    ) -> Result<(), Error> {
        let (_, problem) = gpu::scoped(device, || {
            let usage = wgpu::BufferUsages::COPY_SRC;
            let tables = gpu::filled(device, "lookahead new guard tables", words, usage);
            let at = 4 * u64::from(self.tables[group]);
            encoder.copy_buffer_to_buffer(&tables, 0, &self.tables_buffer, at, tables.size());
        });
        match problem.now_or_never() {
            Some(Some(problem)) => Err(gpu::error(device, &problem, "the guard's new tables")),
            _ => Ok(()),
        }
    }

    /// Records the decision for one group, whose order lies at `offset` of the ring, or a preview of it.
    pub fn record(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        controls: &wgpu::BindGroup,
        offset: &[u32; 2],
        previews: bool,
    ) {
        pass.set_pipeline(if previews { &self.preview } else { &self.pipeline });
        pass.set_bind_group(0, controls, offset);
        pass.set_bind_group(1, &self.bind_group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
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
