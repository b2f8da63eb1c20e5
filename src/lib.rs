//! The **Lookahead optimizer** ([Zhang, Lucas, Hinton, Ba, 2019](https://arxiv.org/abs/1907.08610): *k steps forward, 1
//! step back*) as portable compute shaders on [wgpu](https://wgpu.rs), for Vulkan, Metal, DX12 and WebGPU.
//!
//! An inner optimizer, the [rule](rules), updates the fast weights theta k times; then the slow weights phi move a
//! fraction alpha towards them, and the fast weights restart there:
//!
//! ```text
//! phi <- phi + alpha (theta - phi);   theta <- phi
//! ```
//!
//! ```
//! use lookahead_wgpu::{Field, Lookahead, Optimizer, gpu::Gpu, rules::Adam};
//!
//! # fn main() -> Result<(), lookahead_wgpu::Error> {
//! let gpu = Gpu::open_blocking(None)?; // or a wgpu device and queue that you have
//! let mut optimizer = Optimizer::builder(Adam::new(0.05))
//!     .lookahead(Lookahead::new(5, 0.5)) // k, alpha; left out: the rule alone
//!     .tensor("weight", &[28, 10])
//!     .build_blocking(&gpu.device, &gpu.queue)?;
//! optimizer.upload("weight", &[1.0; 280])?;
//! let gradient = optimizer.gradients("weight")?; // a range of a plain `wgpu::Buffer`, for your kernels to write
//! let mut encoder = gpu.device.create_command_encoder(&Default::default());
//! // ... record your kernels that write the gradient ...
//! optimizer.step(&mut encoder)?; // one inner step, with the sync in every fifth; gradients stay as they are
//! gpu.queue.submit([encoder.finish()]);
//! let trained = optimizer.download_blocking(Field::SlowWeights, "weight")?;
//! # Ok(())
//! # }
//! ```
//!
//! | what | where |
//! |---|---|
//! | settings, tensors and groups of an optimizer | [`Builder`], [`Group`], [`Schedule`] |
//! | an optimizer at work: steps, syncs, evaluation, settings that change | [`Optimizer`] |
//! | inner optimizers, with formulas and conventions, and one of your own | [`rules`] |
//! | k, alpha, and what becomes of a rule's state at a sync | [`Lookahead`], [`StatePolicy`] |
//! | an alpha found anew at every sync | [`alpha`] |
//! | momentum at the syncs: heavy ball, Nesterov (DiLoCo, SNOO), SlowMo | [`outer`] |
//! | averages of the weights: EMA, Polyak, SWA | [`average`] |
//! | steps skipped where a gradient is not finite, and loss scaling | [`guard`] |
//! | f16 and bf16 without `shader-f16` | [`precision`] |
//! | clipping, noise, and transformations of the gradient of your own | [`Clip`], [`transform`] |
//! | accumulation over micro-batches | [`Accumulation`] |
//! | variance reduction (SVRG), with the slow weights as its snapshot | [`variance_reduction`] |
//! | the training state in files, and PyTorch's | [`checkpoint`], [`Snapshot`] |
//! | weights and gradients in buffers of yours | [`Builder::borrowed`], [`Slice`] |
//! | memory, bytes moved and limits, before there is a device | [`Builder::plan`], [`Plan`], [`Memory`], [`Traffic`] |
//! | a device to begin with, natively and in a browser | [`gpu`] |
//! | the f64 reference | [`twin`] |
//! | the paper's section 3 in closed form | [`analysis`] |
//! | how to: borrowed buffers, groups, evaluation, checkpoints, device limits, moving from PyTorch | [`guide`] |
//! | the kernels' texts | [`kernels`] |
//!
//! Rules and settings are [serde](https://serde.rs)'s, too: `{ "clip": { "global_norm": 1.0 }, "guard": true }` is an
//! [`Options`], and [`rules::read`] makes a rule. What is code of one's own (a rule, an outer step, a transformation, a
//! schedule that is a function) is not serialised.
//!
//! Calls record or enqueue and return at once; errors say what was wrong, with the values, and have changed nothing.
//!
//! # Features
//!
//! - `validate` (on by default): the WGSL of every rule is checked by naga before the device sees it, so that a mistake
//!   in a rule of one's own is an error that quotes the line.
//! - `wgpu` (on by default): the engine on wgpu. Without it, and without `foreign`, there are plans alone.
//! - `foreign`: an engine on a device of another language's, which is told what to do in numbers and texts. The
//!   JavaScript package runs on a page's own `GPUDevice` by it.
#![warn(missing_docs)]
#![forbid(unsafe_code)]
// Without an engine there are plans alone.
#![cfg_attr(not(any(feature = "wgpu", feature = "foreign")), allow(dead_code))]
// Files and blocking calls are not there in a browser; their links are checked natively.
#![cfg_attr(target_arch = "wasm32", allow(rustdoc::broken_intra_doc_links))]

pub mod analysis;
pub mod checkpoint;
mod config;
mod engine;
mod error;
#[cfg(feature = "foreign")]
pub mod foreign;
#[cfg(feature = "wgpu")]
pub mod gpu;
#[doc = include_str!("guide.md")]
pub mod guide {}
pub mod kernels;
mod layout;
mod optimizer;
mod plan;
pub mod rules;
mod snapshot;
pub mod twin;

pub use config::{
    accumulate::Accumulation,
    alpha::{self, AdaptiveAlpha},
    anderson::{self, Anderson},
    average::{self, Average},
    clip::Clip,
    group::{DEFAULT_GROUP, Group, Hyperparameter},
    guard::{self, Guard, LossScale},
    lookahead::{Lookahead, StatePolicy},
    options::Options,
    outer::{self, Outer},
    precision::{self, Half},
    schedule::Schedule,
    shape::Shape,
    transform::{self, Transform},
    variance_reduction,
};
pub use engine::{Engine, Usage};
pub use error::{Error, check_hyperparameter};
#[cfg(feature = "wgpu")]
pub use gpu::Slice;
pub use layout::{field::Field, limits::Limits};
#[cfg(all(feature = "wgpu", not(target_arch = "wasm32")))]
pub use optimizer::autotune;
pub use optimizer::{Builder, Counters, Gradients, GroupCounters, Optimizer};
pub use plan::{Memory, Plan, PlannedDispatch, Traffic};
pub use rules::Rule;
pub use snapshot::{CycleSnapshot, GroupSnapshot, ImportOptions, Snapshot, TensorSnapshot, Weights};
#[cfg(feature = "wgpu")]
pub use wgpu;

/// The README's example is compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
