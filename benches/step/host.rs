//! What recording a step takes of the host.

use std::time::Instant;

use lookahead_wgpu::{Group, Optimizer, gpu::Gpu, rules::Adam, wgpu};

use crate::{
    Failure,
    measure::Effort,
    statistics::median,
    workload::{fill, lookahead},
};

/// Steps in an encoder.
pub const STEPS: u32 = 100;

/// Values of each tensor: few, so that the device keeps up.
const LEN: usize = 256;

/// Median microseconds a step.
pub struct Times {
    /// In `Optimizer::step`.
    pub record: f64,
    /// In `CommandEncoder::finish`, where wgpu does what it put off while recording.
    pub finish: f64,
    /// In `Queue::submit`.
    pub submit: f64,
}

/// Times Lookahead(Adam) over tensors spread evenly over groups.
pub fn measure(gpu: &Gpu, tensors: usize, groups: usize, effort: &Effort) -> Result<Times, Failure> {
    let mut builder = Optimizer::builder(Adam::default()).lookahead(lookahead());
    let name = |group: usize| format!("group {group}");
    for group in 0..groups {
        builder = builder.group(Group::new(&name(group)));
    }
    for tensor in 0..tensors {
        builder = builder.tensor_in(&name(tensor % groups), &format!("tensor {tensor}"), &[LEN]);
    }
    let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue)?;
    fill(gpu, &mut optimizer, None)?;

    let [mut record, mut finish, mut submit] = [vec![], vec![], vec![]];
    let microseconds = |begin: Instant| begin.elapsed().as_secs_f64() * 1e6 / f64::from(STEPS);
    for encoder in 0..=effort.encoders {
        let is_warm_up = encoder == 0;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let begin = Instant::now();
        for _ in 0..STEPS {
            optimizer.step(&mut encoder)?;
        }
        let recorded = microseconds(begin);
        let begin = Instant::now();
        let commands = encoder.finish();
        let finished = microseconds(begin);
        let begin = Instant::now();
        gpu.queue.submit([commands]);
        let submitted = microseconds(begin);
        // So that the device is idle while the next steps are recorded.
        gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
        if !is_warm_up {
            record.push(recorded);
            finish.push(finished);
            submit.push(submitted);
        }
    }
    Ok(Times { record: median(&record), finish: median(&finish), submit: median(&submit) })
}
