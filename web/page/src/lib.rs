//! The page's engine, which runs in a worker: the network, the data and the runs of `examples/train`, on WebGPU.
#![cfg(target_arch = "wasm32")]

#[path = "../../../examples/train/batches.rs"]
mod batches;
mod choices;
#[path = "../../../examples/train/data.rs"]
#[allow(dead_code, reason = "folders are for the native program")]
mod data;
#[path = "../../../examples/train/device.rs"]
mod device;
mod files;
mod gpu;
#[path = "../../../examples/train/history.rs"]
#[allow(dead_code, reason = "its tables and plots are the native program's")]
mod history;
#[path = "../../../examples/train/kernels.rs"]
mod kernels;
#[path = "../../../examples/train/meter.rs"]
mod meter;
#[path = "../../../examples/train/model.rs"]
mod model;
#[path = "../../../examples/train/options.rs"]
#[allow(dead_code, reason = "the page adds a rule alone by itself")]
mod options;
mod predict;
#[path = "../../../examples/train/reading.rs"]
mod reading;
#[path = "../../../examples/train/rule.rs"]
mod rule;
#[path = "../../../examples/train/run.rs"]
#[allow(dead_code, reason = "the native program polls and shows a bar")]
mod run;
#[path = "../../../examples/train/settings.rs"]
mod settings;
mod trainer;
#[path = "../../../examples/train/unpack.rs"]
mod unpack;
