//! What the program `train` is made of. The page in `web/page` trains with the same network, data and runs; what a
//! browser has no use for (files, pictures, the command line) is not there for wasm32.

#[cfg(not(target_arch = "wasm32"))]
pub mod arguments;
pub mod batches;
#[cfg(not(target_arch = "wasm32"))]
pub mod canvas;
#[cfg(not(target_arch = "wasm32"))]
pub mod checkpoint;
pub mod data;
pub mod device;
#[cfg(not(target_arch = "wasm32"))]
pub mod driver;
#[cfg(not(target_arch = "wasm32"))]
pub mod folder;
pub mod history;
pub mod kernels;
pub mod meter;
pub mod model;
pub mod options;
#[cfg(not(target_arch = "wasm32"))]
pub mod output;
#[cfg(not(target_arch = "wasm32"))]
pub mod paths;
#[cfg(not(target_arch = "wasm32"))]
pub mod plot;
#[cfg(not(target_arch = "wasm32"))]
pub mod program;
pub mod reading;
#[cfg(not(target_arch = "wasm32"))]
pub mod report;
pub mod rule;
pub mod run;
pub mod settings;
pub mod unpack;
