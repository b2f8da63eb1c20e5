//! What a step, packing and an exchange cost on this machine.
//!
//! Every rank takes steps at the same time, as in training. Packing is what a round takes over a rank alone, which packs the
//! mean of all blocks, where one of n packs that of its own. The network's is the time of the same calls to MPI as in an
//! exchange, with nothing packed: `messages latency + bytes / bandwidth`, with messages and bytes as
//! [`network`](crate::network) counts them, fitted to several sizes of which each counts alike. How well packing and network
//! explain a round over all ranks is told, too.

use std::{process::ExitCode, time::Instant};

use lookahead_mpi::{
    BLOCK, Wire, Workers,
    mpi::{
        self, Count,
        datatype::{Partition, PartitionMut},
        topology::SimpleCommunicator,
        traits::{Communicator, CommunicatorCollectives},
    },
};
use lookahead_wgpu::{Lookahead, Optimizer, gpu::Gpu, rules::AdamW, wgpu::PollType};
use serde::Serialize;

use crate::{
    arguments::Arguments,
    error::ScaleError,
    network::{Exchange, MEETINGS, Messages, Network},
};

/// Values of a tensor at most, so that each fits a binding.
const TENSOR: u64 = 1 << 22;
/// Steps of a sample, rounds, and samples of each, of which the median counts.
const STEPS: u32 = 8;
const SAMPLES: usize = 9;
/// Weights of the largest exchange that MPI's calls are measured with: one piece of lookahead-mpi's.
const LARGEST: u64 = 1 << 24;
/// What a rank says in a meeting.
const MEETING: [u64; 3] = [0; 3];
/// Sizes that the network is measured at, each four times the one before.
const SIZES: u32 = 4;

/// What was measured.
#[derive(Debug, Serialize)]
struct Costs {
    adapter: String,
    ranks: usize,
    weights: u64,
    /// Seconds of an optimizer's step.
    step: f64,
    /// Seconds of a round over a rank alone for each packed byte, in each format.
    packing: Vec<Format>,
    exchanges: Vec<Point>,
    /// None where a rank is alone, or the line is lost in noise.
    network: Option<Line>,
    round: Option<Round>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Format {
    wire: Wire,
    seconds_a_byte: f64,
}

/// Exchange of a model.
#[derive(Debug, Clone, Copy, Serialize)]
struct Point {
    weights: u64,
    /// Of the busiest rank.
    bytes: u64,
    messages: u64,
    /// Seconds of MPI's calls.
    seconds: f64,
}

/// A round over all ranks, in f32.
#[derive(Debug, Clone, Copy, Serialize)]
struct Round {
    /// Bytes that rank 0 says that it sent.
    sent: u64,
    /// Bytes that the model has for the busiest rank.
    bytes: u64,
    /// Seconds, and what packing and network explain of them.
    seconds: f64,
    explained: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Line {
    latency: f64,
    bandwidth: f64,
}

/// Measures, and prints on rank 0.
pub fn run(arguments: &Arguments) -> ExitCode {
    let Some(universe) = mpi::initialize() else {
        eprintln!("error: {}", ScaleError::Mpi);
        return ExitCode::FAILURE;
    };
    let world = universe.world();
    let rank = world.rank();
    let done = Costs::measure(arguments, world).and_then(|costs| {
        if rank == 0 {
            print!(
                "{}",
                if arguments.json { serde_json::to_string_pretty(&costs)? + "\n" } else { costs.text() }
            );
        }
        Ok(())
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error on rank {rank}: {error}");
            // The others may wait for this one.
            universe.world().abort(1)
        }
    }
}

impl Costs {
    fn measure(arguments: &Arguments, world: SimpleCommunicator) -> Result<Self, ScaleError> {
        let (ranks, weights) = (world.size() as usize, arguments.weights());
        let gpu = Gpu::open_blocking(arguments.adapter.as_deref())?;
        let step = step_seconds(&gpu, weights)?;
        let mut formats = Vec::new();
        for wire in Wire::ALL {
            let (seconds, _) = rounds(&gpu, SimpleCommunicator::self_comm(), wire, weights)?;
            formats.push(Format { wire, seconds_a_byte: seconds / packed(weights, wire) as f64 });
        }
        let mut costs = Self {
            adapter: gpu.label(),
            ranks,
            weights,
            step,
            packing: formats,
            exchanges: vec![],
            network: None,
            round: None,
        };
        if ranks > 1 {
            costs.measure_network(&gpu, &world)?;
        }
        Ok(costs)
    }

    fn measure_network(&mut self, gpu: &Gpu, world: &SimpleCommunicator) -> Result<(), ScaleError> {
        let largest = self.weights.min(LARGEST);
        let sizes = (0..SIZES).rev().map(|power| largest >> (2 * power)).filter(|weights| *weights > 0);
        self.exchanges = sizes.map(|weights| exchange(world, weights)).collect();
        self.network = fit(&self.exchanges);
        let (seconds, sent) = rounds(gpu, SimpleCommunicator::world(), Wire::F32, self.weights)?;
        let Exchange { bytes, messages, .. } = counted(self.weights, self.ranks);
        let packing = self.packing[0].seconds_a_byte * packed(self.weights, Wire::F32) as f64;
        let network = self.network.map_or(0.0, |line| line.seconds(messages, bytes));
        self.round = Some(Round { sent, bytes, seconds, explained: packing + network });
        Ok(())
    }

    fn text(&self) -> String {
        let Self { adapter, ranks, weights, step, packing, exchanges, network, round } = self;
        let several = if *ranks == 1 { "" } else { "s" };
        let mut text = format!("{ranks} rank{several} on {adapter}, {weights} weights\n\n");
        text += &format!("a step of AdamW    {step:.3e} s, to which a gradient's time is to be added\n");
        for Format { wire, seconds_a_byte } in packing {
            text += &format!("packing {:<10} {seconds_a_byte:.3e} s a byte\n", wire.name());
        }
        if !exchanges.is_empty() {
            text += &format!(
                "\n{:>12} {:>12} {:>9} {:>11} {:>11}\n",
                "weights", "bytes", "messages", "seconds", "fitted"
            );
        }
        for Point { weights, bytes, messages, seconds, .. } in exchanges {
            let fitted = network.map(|line| format!("{:.3e}", line.seconds(*messages, *bytes)));
            let fitted = fitted.unwrap_or_default();
            text += &format!("{weights:>12} {bytes:>12} {messages:>9} {seconds:>11.3e} {fitted:>11}\n");
        }
        if let Some(Round { seconds, explained, .. }) = round {
            text += &format!(
                "\na round of all in f32: {seconds:.3e} s, of which packing and network explain {explained:.3e} s\n"
            );
        }
        let each: Vec<_> = packing.iter().map(|format| format!("{:.3e}", format.seconds_a_byte)).collect();
        text += &format!("\n--weights {weights} --step {step:.3e} --pack {}", each.join(","));
        match network {
            Some(Line { latency, bandwidth }) => {
                text += &format!(" --latency {latency:.3e} --bandwidth {bandwidth:.3e}\n");
            }
            None if *ranks == 1 => {
                text += "\n\nUnder `mpirun -n 2` latency and bandwidth are measured, too.\n"
            }
            None => {
                text += "\n\nLarger exchanges took no longer than small ones, so that noise hides the bandwidth: give \
                         more\n--weights, or let nothing else run.\n";
            }
        }
        text
    }
}

impl Line {
    fn seconds(&self, messages: u64, bytes: u64) -> f64 {
        messages as f64 * self.latency + bytes as f64 / self.bandwidth
    }
}

/// What an exchange of so many weights in f32 is made of.
fn counted(weights: u64, ranks: usize) -> Exchange {
    let network = Network { bandwidth: 1.0, latency: 1.0, messages: Messages::All };
    network.exchange(blocks(weights), Wire::F32.block_bytes() as u64, ranks as u32)
}

fn blocks(weights: u64) -> u64 {
    weights.div_ceil(BLOCK as u64)
}

/// Bytes that so many weights are packed to.
fn packed(weights: u64, wire: Wire) -> u64 {
    blocks(weights) * wire.block_bytes() as u64
}

/// An optimizer of so many weights, all zero.
fn optimizer(gpu: &Gpu, weights: u64) -> Result<Optimizer, ScaleError> {
    let builder = Optimizer::builder(AdamW::new(1e-3)).lookahead(Lookahead::new(1, 1.0));
    let tensors = 0..weights.div_ceil(TENSOR);
    let builder = tensors.fold(builder, |builder, index| {
        let len = TENSOR.min(weights - index * TENSOR) as usize;
        builder.tensor(&format!("tensor {index}"), &[len])
    });
    Ok(builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue)?)
}

/// Takes steps, and waits for them.
fn take_steps(gpu: &Gpu, optimizer: &mut Optimizer, steps: u32) -> Result<(), ScaleError> {
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    (0..steps).try_for_each(|_| optimizer.step(&mut encoder))?;
    gpu.queue.submit([encoder.finish()]);
    let waited = gpu.device.poll(PollType::wait_indefinitely());
    waited.map(|_| ()).map_err(|problem| ScaleError::Device(problem.to_string()))
}

fn step_seconds(gpu: &Gpu, weights: u64) -> Result<f64, ScaleError> {
    let mut optimizer = optimizer(gpu, weights)?;
    take_steps(gpu, &mut optimizer, 1)?;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        take_steps(gpu, &mut optimizer, STEPS)?;
        samples.push(start.elapsed().as_secs_f64() / f64::from(STEPS));
    }
    Ok(median(samples))
}

/// Seconds of a round without the step before it, and the bytes that this rank sent.
fn rounds(gpu: &Gpu, world: SimpleCommunicator, wire: Wire, weights: u64) -> Result<(f64, u64), ScaleError> {
    let mut optimizer = optimizer(gpu, weights)?;
    let builder = Workers::builder(world).wire(wire).period(1);
    let mut workers = builder.build(&mut optimizer, &gpu.device, &gpu.queue)?;
    let (mut seconds, mut sent) = (Vec::new(), 0);
    // The first one prepares.
    for _ in 0..=SAMPLES {
        take_steps(gpu, &mut optimizer, 1)?;
        let report = workers.round(&mut optimizer)?;
        seconds.push(workers.mean(report.seconds));
        sent = report.bytes;
    }
    Ok((median(seconds.split_off(1)), sent))
}

/// MPI's calls in an exchange of so many weights in f32, with parts of one size.
fn exchange(world: &SimpleCommunicator, weights: u64) -> Point {
    let n = world.size() as usize;
    let Exchange { bytes, messages, .. } = counted(weights, n);
    let part = blocks(weights).div_ceil(n as u64) as usize * Wire::F32.block_bytes();
    let counts = vec![part as Count; n];
    let starts: Vec<Count> = (0..n).map(|rank| (rank * part) as Count).collect();
    let (mut values, mut received) = (vec![0u8; n * part], vec![0u8; n * part]);
    let mut words = vec![0u64; MEETING.len() * n];
    let mut seconds = Vec::new();
    for _ in 0..=SAMPLES {
        world.barrier();
        let start = Instant::now();
        (0..MEETINGS).for_each(|_| world.all_gather_into(&MEETING[..], &mut words[..]));
        world.all_to_all_varcount_into(
            &Partition::new(&values[..], &counts[..], &starts[..]),
            &mut PartitionMut::new(&mut received[..], &counts[..], &starts[..]),
        );
        world.all_gather_varcount_into(
            &received[..part],
            &mut PartitionMut::new(&mut values[..], &counts[..], &starts[..]),
        );
        seconds.push(start.elapsed().as_secs_f64());
    }
    let mut all = vec![0.0; n];
    world.all_gather_into(&median(seconds.split_off(1)), &mut all[..]);
    // The same on all ranks, so that all fit the same line.
    Point { weights, bytes, messages, seconds: all.iter().sum::<f64>() / n as f64 }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// The line with the least relative errors; where its latency would be below 0, that without one. None where larger exchanges
/// took no longer than small ones.
fn fit(points: &[Point]) -> Option<Line> {
    let rows = points.iter().filter(|point| point.seconds > 0.0);
    let rows: Vec<_> = rows.map(|p| [p.messages as f64, p.bytes as f64].map(|x| x / p.seconds)).collect();
    let sum = |of: fn(&[f64; 2]) -> f64| rows.iter().map(of).sum::<f64>();
    let (mm, mb, bb) = (sum(|r| r[0] * r[0]), sum(|r| r[0] * r[1]), sum(|r| r[1] * r[1]));
    let (m, b) = (sum(|r| r[0]), sum(|r| r[1]));
    let determinant = mm * bb - mb * mb;
    let (latency, a_byte) = ((m * bb - b * mb) / determinant, (b * mm - m * mb) / determinant);
    let (latency, a_byte) = if latency < 0.0 { (0.0, b / bb) } else { (latency, a_byte) };
    let is_found = rows.len() > 1 && a_byte > 0.0 && a_byte.is_finite() && latency.is_finite();
    is_found.then(|| Line { latency, bandwidth: a_byte.recip() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(latency: f64, a_byte: f64) -> Vec<Point> {
        let sizes = [(1000, 10), (16_000, 10), (1_000_000, 30), (64_000_000, 90)];
        let point = |(bytes, messages)| {
            let seconds = messages as f64 * latency + bytes as f64 * a_byte;
            Point { weights: 1, bytes, messages, seconds }
        };
        sizes.map(point).to_vec()
    }

    // Finds: latency and bandwidth changed over, and a fit that small exchanges have no part in.
    #[test]
    fn the_line_that_times_were_made_of_is_found() {
        for (latency, a_byte) in [(1e-4, 1e-9), (1e-7, 1e-8), (0.0, 1e-9)] {
            let line = fit(&points(latency, a_byte)).unwrap();
            assert!((line.latency - latency).abs() < 1e-9 * (latency + 1e-3), "{line:?}");
            assert!((line.bandwidth * a_byte - 1.0).abs() < 1e-6, "{line:?}");
        }
        let mut noisy = points(1e-4, 1e-9);
        noisy[0].seconds *= 1.1;
        let line = fit(&noisy).unwrap();
        assert!((line.latency / 1e-4 - 1.0).abs() < 0.1 && (line.bandwidth / 1e9 - 1.0).abs() < 0.1);
    }

    // Finds: a latency below 0.
    #[test]
    fn there_is_no_latency_below_none() {
        let mut points = points(0.0, 1e-9);
        points[0].seconds *= 0.9;
        let line = fit(&points).unwrap();
        assert!(line.latency == 0.0 && (line.bandwidth / 1e9 - 1.0).abs() < 0.1, "{line:?}");
    }

    #[test]
    fn noise_is_told() {
        let mut points = points(1e-4, 1e-9);
        points.iter_mut().for_each(|point| point.seconds = 1e-3 / point.bytes as f64);
        assert_eq!(fit(&points), None);
    }
}
