//! A plan played on paper: which kernels each step would dispatch, without a device.

use std::fmt;

use super::{
    event::Event,
    placement::Placement,
    program::{Known, Purpose, Usage},
    recording::Recording,
    whole::Plan,
};
use crate::error::Error;

/// One dispatch of a step on paper.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedDispatch {
    /// What the kernel is, in words.
    pub kernel: String,
    /// Its entry point.
    pub entry: &'static str,
    /// The flags that its pipeline was made for; 0 where it reads them.
    pub flags: u32,
    /// Workgroups in x and y.
    pub workgroups: (u32, u32),
}

impl Plan {
    /// Takes the next step on paper: what it would dispatch, in this order. The plan goes on as training would, so that
    /// k calls show a whole cycle.
    ///
    /// # Errors
    ///
    /// As [`Optimizer::step`](crate::Optimizer::step); [`Error::Unsupported`] where tensors are borrowed, whose dispatches
    /// are by where their gradients lie.
    pub fn step(&mut self) -> Result<Vec<PlannedDispatch>, Error> {
        if self.is_borrowed {
            return Err(Error::Unsupported {
                call: "Plan::step",
                problem: "has no placement for borrowed tensors; plan with tensors of the optimizer's own",
            });
        }
        let placement = self.own_placement();
        let (mut event, mut all) = (Event::default(), Vec::new());
        if self.accumulates(&mut event) {
            self.play(&event, &placement, &mut all)?;
            self.accumulated();
            return Ok(all);
        }
        let factor = self.checked_factor()?;
        if self.guard.is_some() && self.starts(&mut event)? {
            self.play(&event, &placement, &mut all)?;
            self.started();
        }
        self.next_step(factor, None, &mut event);
        self.play(&event, &placement, &mut all)?;
        self.step_taken(&event);
        Ok(all)
    }

    /// What an engine does with an event: here the dispatches are written down.
    fn play(
        &mut self,
        event: &Event,
        placement: &Placement,
        out: &mut Vec<PlannedDispatch>,
    ) -> Result<(), Error> {
        let mut recording = Recording::default();
        self.record(event, placement, &mut recording)?;
        out.extend(recording.dispatches.iter().map(|dispatch| {
            let kernel = &self.program.kernels[dispatch.kernel];
            PlannedDispatch {
                kernel: kernel.source.name.clone(),
                entry: kernel.source.entry,
                flags: match kernel.flags {
                    Known::All(flags) => flags,
                    Known::Among(_) | Known::Nothing => 0,
                },
                workgroups: dispatch.workgroups,
            }
        }));
        self.recorded(event);
        Ok(())
    }
}

impl fmt::Display for Plan {
    /// Tables of tensors, buffers and kernels, memory, and the bytes of a step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tensors: {} in {} window(s)", self.layout.tensors.len(), self.windows.len())?;
        for tensor in self.layout.tensors.iter().take(MOST) {
            let group = &self.state.groups[tensor.group].name;
            writeln!(f, "  {:24} {:20} group {group}", tensor.name, format!("{:?}", tensor.shape))?;
        }
        more(f, self.layout.tensors.len())?;
        let buffers = &self.program.buffers;
        writeln!(f, "buffers: {}", buffers.iter().count())?;
        for buffer in buffers.iter().take(MOST) {
            let (purpose, usage) = (purpose(buffer.purpose), usage(buffer.usage));
            writeln!(f, "  {:28} {:>14} bytes  {purpose:13} {usage}", buffer.label, buffer.size)?;
        }
        more(f, buffers.iter().count())?;
        let kernels = &self.program.kernels;
        writeln!(f, "kernels: {}, workgroups of {}", kernels.iter().count(), self.program.shape.workgroup)?;
        for kernel in kernels.iter().take(MOST) {
            let flags = match kernel.flags {
                Known::Nothing => "any".to_owned(),
                Known::Among(flags) => format!("among {flags}"),
                Known::All(flags) => flags.to_string(),
            };
            writeln!(f, "  {:44} {:12} flags {flags}", kernel.source.name, kernel.source.entry)?;
        }
        more(f, kernels.iter().count())?;
        writeln!(f, "memory:\n{}", self.memory())?;
        let traffic = self.traffic();
        write!(f, "bytes a step: {}; a sync, on top: {}", traffic.step, traffic.sync)?;
        if traffic.task > 0 { write!(f, "; a task's end: {}", traffic.task) } else { Ok(()) }
    }
}

/// Rows of a table that are shown.
const MOST: usize = 40;

fn more(f: &mut fmt::Formatter<'_>, rows: usize) -> fmt::Result {
    if rows > MOST { writeln!(f, "  ... and {} more", rows - MOST) } else { Ok(()) }
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Weights => "weights",
        Purpose::Gradients => "gradients",
        Purpose::SlowWeights => "slow weights",
        Purpose::HalfWeights => "half weights",
        Purpose::Planes { .. } => "state",
        Purpose::Factors => "factors",
        Purpose::Controls => "controls",
    }
}

fn usage(usage: Usage) -> String {
    let all = [
        (usage.storage, "storage"),
        (usage.uniform, "uniform"),
        (usage.copy_src, "copy_src"),
        (usage.copy_dst, "copy_dst"),
    ];
    all.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect::<Vec<_>>().join(" ")
}
