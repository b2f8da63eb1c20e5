//! Checkpoints: training that stops and goes on, and weights and optimizer state that come from elsewhere.
//!
//! All files are [safetensors](https://huggingface.co/docs/safetensors): a length, a JSON header and values, which
//! cannot hold code and which every framework reads.
//!
//! # Stopping and going on
//!
//! ```no_run
//! use lookahead_wgpu::{Error, Lookahead, Optimizer, Snapshot, rules::Adam, wgpu};
//!
//! fn build(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Optimizer, Error> {
//!     let builder = Optimizer::builder(Adam::default()).lookahead(Lookahead::default());
//!     builder.tensor("layer1.weight", &[30, 20]).build_blocking(device, queue)
//! }
//!
//! fn stop(optimizer: &Optimizer) -> Result<(), Error> {
//!     optimizer.export_blocking()?.save("run.safetensors")
//! }
//!
//! fn go_on(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Optimizer, Error> {
//!     let mut optimizer = build(device, queue)?;
//!     optimizer.import(&Snapshot::load("run.safetensors")?)?;
//!     Ok(optimizer)
//! }
//! ```
//!
//! A run that is stopped after any step, saved, loaded into an optimizer that was built alike and continued on the
//! same adapter is bit-equal to the run that never stopped, in the middle of a cycle and between two micro-batches
//! too. Everything that has a setter comes back as it was: what is frozen, learning rates and their factors, weight
//! decay, the rule's hyperparameters, k, alpha, the schedule. What is not the optimizer's is the caller's to keep: the
//! data's order, seeds, and a schedule that is a function ([`Schedule::custom`](crate::Schedule::custom)), which no
//! file can hold. It is built again, and goes on from the count of steps, which is in the file. A rule of one's own
//! has its hyperparameters in the file where it names them
//! ([`Rule::hyperparameters`](crate::Rule::hyperparameters)).
//!
//! Tensors and groups are matched by name, whatever their order. What differs otherwise is refused, all of it in one
//! error, unless it is asked for by name: Lookahead around a rule that ran alone or the other way round, an average, an
//! outer step, loss scaling, settings of the optimizer's own. [`ImportOptions`](crate::ImportOptions) has them.
//!
//! # What is in a file
//!
//! [`Snapshot::save`](crate::Snapshot::save) writes one F32 entry for each field of each tensor, called
//! `{field}/{tensor}` with the field as [`Field`](crate::Field) displays it: `weights/layer1.weight`,
//! `slow_weights/layer1.weight`, `state.exp_avg/layer1.weight`. Every f32 is kept bit for bit, NaN included. The one
//! text in `__metadata__`, under `lookahead-wgpu`, is a JSON object with the format's name and version, a checksum
//! (CRC-32) of all that follows and of all values, the counters, the groups (rule, policy, tasks, count, position in the
//! cycle, and all settings), and the tensors in the optimizer's order with the fields of each. Floating-point
//! numbers are JSON texts there, since they must give the same bits back. One snapshot always gives the same bytes.
//! The format is in its version 2; files of version 1, which lack what is frozen, weight decay, hyperparameters and
//! schedule, are read, and the optimizer's own stay.
//!
//! Files are replaced at once: a crash while saving leaves the file as it was, and perhaps a temporary one beside
//! it, whose name starts with a dot and ends in `.tmp`; nothing ever reads that. Only a file of the same kind is
//! replaced, or an empty one: never a device, pipe or folder, and what else bears the name only where
//! [`save_over`](crate::Snapshot::save_over) says so.
//!
//! A file that was cut short, damaged, edited, or is something else is an [`Error`](crate::Error) that says what
//! is wrong, never a panic, and reading it takes a small multiple of its own size in memory, whatever it claims.
//! An optimizer that was built otherwise refuses the snapshot with what differs.
//!
//! # Weights alone
//!
//! [`Optimizer::load_weights`](crate::Optimizer::load_weights) reads the safetensors file of a model: an entry for
//! each tensor, by its name, in F32, F64, F16 or BF16. Other entries may be of any type. Where the names are others,
//! [`load_weights_with`](crate::Optimizer::load_weights_with) takes a function from the file's to the tensors', and
//! [`without_wrappers`] is the one for models that PyTorch saved wrapped. [`Optimizer::save_weights`](crate::Optimizer::save_weights)
//! writes one, of the weights, the slow weights or an average.
//!
//! # State from and to PyTorch
//!
//! [`Snapshot::to_torch`](crate::Snapshot::to_torch) and [`Snapshot::import_torch`](crate::Snapshot::import_torch)
//! exchange the state of the rules that PyTorch has too, under its names. The slow weights are not among them: after
//! an import they are the snapshot's. Parameters without state there, frozen or never used, keep theirs here, and
//! [`TorchImport`] tells which. In Python:
//!
//! ```python
//! from safetensors.torch import load_file, save_file
//!
//! # From PyTorch: what `import_torch` reads.
//! save_file({f"{name}.{key}": value.contiguous() for name, parameter in model.named_parameters()
//!            for key, value in optimizer.state[parameter].items() if value is not None}, "state.safetensors")
//!
//! # To PyTorch: what `to_torch` wrote.
//! entries = load_file("state.safetensors")
//! for name, parameter in model.named_parameters():
//!     optimizer.state[parameter] = {key.removeprefix(name + "."): value for key, value in entries.items()
//!                                   if key.rpartition(".")[0] == name}
//! ```
//!
//! NAdam's `mu_product` follows from its step and is not written; PyTorch needs it, as the product of
//! `beta1 (1 - 0.5 * 0.96 ** (t * momentum_decay))` over the steps t so far.
//!
//! # Limits
//!
//! A file is read and written as a whole, so that memory must hold it twice. bf16 slow weights are written as the
//! f32 that they stand for. In a browser there are no files:
//! [`Snapshot::to_bytes`](crate::Snapshot::to_bytes), [`Snapshot::from_bytes`](crate::Snapshot::from_bytes),
//! [`Optimizer::export_weights`](crate::Optimizer::export_weights) and
//! [`Optimizer::import_weights`](crate::Optimizer::import_weights) work on bytes.

mod container;
mod exact;
#[cfg(not(target_arch = "wasm32"))]
mod file;
mod format;
mod names;
mod torch;
mod weights;

pub use names::without_wrappers;
pub use torch::TorchImport;
