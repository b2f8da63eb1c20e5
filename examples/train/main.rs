//! Trains a multi-layer perceptron on images, all on the GPU: alone with an optimizer, or with Lookahead
//! around it, or both for comparison.
//!
//! ```text
//! cargo run --release --example train -- --compare --plot compare.png
//! ```

mod arguments;
mod batches;
mod canvas;
mod checkpoint;
mod data;
mod device;
mod folder;
mod history;
mod kernels;
mod meter;
mod model;
mod options;
mod output;
#[allow(dead_code, reason = "it makes no folders")]
mod paths;
mod plot;
mod program;
mod reading;
mod report;
mod rule;
mod run;
mod settings;
mod train;
mod unpack;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    env_logger::init();
    match program::run(&arguments::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
