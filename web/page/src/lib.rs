//! The page's engine, which runs in a worker: the network, the data and the runs of `examples/train`, on WebGPU.
#![cfg(target_arch = "wasm32")]

mod choices;
mod files;
mod gpu;
mod predict;
mod trainer;
