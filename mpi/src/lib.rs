//! Lookahead over many machines: [`lookahead-wgpu`](lookahead_wgpu)'s optimizers, one a process and device, that exchange
//! weights or gradients over MPI.
//!
//! With n workers Lookahead's slow step is taken on the mean of their fast weights. From the slow weights phi, which all
//! share, worker i takes k inner steps on data of its own to theta_i; then
//!
//! ```text
//! theta <- (theta_1 + ... + theta_n) / n;   d = phi - theta;   phi <- outer step of d;   theta_i <- phi
//! ```
//!
//! with any outer step that the optimizer has, on the same kernels as on one machine:
//!
//! | outer step | one worker | several |
//! |---|---|---|
//! | [`Interpolation`](lookahead_wgpu::outer::Interpolation), alpha = 1 | the rule alone | Local SGD ([Stich, 2019](https://arxiv.org/abs/1805.09767)), FedAvg |
//! | `Interpolation`, alpha < 1 | Lookahead ([Zhang et al., 2019](https://arxiv.org/abs/1907.08610)) | the same over the mean |
//! | [`SlowMo`](lookahead_wgpu::outer::SlowMo) | Lookahead with momentum | SlowMo ([Wang et al., 2020](https://arxiv.org/abs/1910.00643)) |
//! | [`Nesterov`](lookahead_wgpu::outer::Nesterov), with AdamW inside | SNOO | DiLoCo ([Douillard et al., 2023](https://arxiv.org/abs/2311.08105)) |
//!
//! It helps where the network is slow beside the steps: weights are exchanged once in k steps, not gradients in each. The
//! rule's state stays each worker's own, and what becomes of it at a sync is the optimizer's
//! [`StatePolicy`](lookahead_wgpu::StatePolicy).
//!
//! ```no_run
//! use lookahead_mpi::{Wire, Workers};
//! use lookahead_wgpu::{Lookahead, Optimizer, gpu::Gpu, outer::Nesterov, rules::AdamW};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let universe = mpi::initialize().ok_or("MPI has begun already")?;
//! let gpu = Gpu::open_blocking(None)?;
//! let mut optimizer = Optimizer::builder(AdamW::new(1e-3))
//!     .lookahead(Lookahead::new(50, 0.7)) // the period, and the outer learning rate
//!     .outer(Nesterov { momentum: 0.9 })
//!     .tensor("weight", &[64, 10])
//!     .build_blocking(&gpu.device, &gpu.queue)?;
//! optimizer.upload("weight", &[0.1; 640])?; // the same on all ranks
//! let workers = Workers::builder(universe.world()).wire(Wire::Int8);
//! let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue)?;
//! for _ in 0..1000 {
//!     let mut encoder = gpu.device.create_command_encoder(&Default::default());
//!     // ... record kernels that write the gradient of a batch of this rank's data ...
//!     if let Some(report) = workers.step(&mut optimizer, encoder)? {
//!         println!("round {}: {} bytes, {:.3} s", report.round, report.bytes, report.seconds);
//!         workers.save(&optimizer, "checkpoints")?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Streaming`] exchanges parts of the model one after the other, while steps go on: streaming DiLoCo
//! ([Douillard et al., 2025](https://arxiv.org/abs/2501.18512)), for networks that are slow all the same.
//!
//! [`Mode::Gradients`] is plain data parallel training instead: every step is one on the mean of all gradients.
//!
//! # What one may rely on
//!
//! - **One worker is Lookahead on one machine, bit for bit**, with every outer step and policy; equal workers on equal data
//!   are one worker.
//! - **All ranks have the same bits** of slow weights and outer state after every round, be it of one fragment. The mean is summed in the order of
//!   the ranks, in f64, once for each value; hashes are compared, and where adapters round otherwise rank 0's bits are sent
//!   again. A run can be repeated.
//! - **A value that is not finite ends nobody's run.** Where a rank has one, all give the round up ([`Outcome::Discarded`])
//!   and go on from the slow weights; that rank's rule begins its state anew. Where gradients are exchanged, the step is
//!   not taken; with a [guard](lookahead_wgpu::guard) all guards skip it and lower the loss scale alike.
//! - **Ranks that were built otherwise are refused at the start**, with the line in which they differ.
//! - **Checkpoints are whole** ([`Workers::save`], [`Workers::restore`]): a run whose ranks, or launcher, were killed at
//!   any moment goes on from the last round that was saved, bit for bit, with another number of ranks too (then not bit
//!   for bit).
//!
//! # Limits
//!
//! - A rank that is killed ends the job: MPI's launcher ends the others. Start it again from the checkpoint. A rank that alone has
//!   an error of its own is to end the job by `universe.world().abort(1)`, as the README's example does: the others wait for it.
//! - An exchange goes through the host's memory. Fragments alone are exchanged beside steps, for which MPI is to be begun by
//!   `mpi::initialize_with_threading(mpi::Threading::Multiple)`.
//! - Refused with local steps: an average of the weights, an adaptive alpha, Anderson acceleration, rounds of tasks, rules that
//!   read the slow weights, a guard with the policy reset. Where gradients are exchanged: half-width and borrowed ones, variance
//!   reduction, a curvature that is given. Gradients of frozen groups are exchanged, too, and must be finite.
//! - On unlike adapters ranks may round the outer step otherwise. With local steps rank 0's slow weights are sent again then
//!   ([`Report::mended`]); where gradients are exchanged weights move apart by rounding, which [`Workers::check`] tells.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod beside;
mod blocks;
mod builder;
mod checkpoint;
mod error;
mod fingerprint;
mod mean;
mod meeting;
mod mending;
mod packing;
mod report;
mod settings;
mod streaming;
mod timetable;
mod wire;
mod workers;

pub use builder::Builder;
pub use checkpoint::Restored;
pub use error::Error;
pub use mpi;
pub use report::{Outcome, Report};
pub use settings::{Mode, NEVER, Packing, Streaming};
pub use wire::{BLOCK, Wire};
pub use workers::Workers;

/// The README's example is compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
