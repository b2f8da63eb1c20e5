//! Variance reduction on the GPU: SGD, Lookahead, SVRG and Katyusha on a logistic regression.
//!
//! ```text
//! cargo run --release -p logistic
//! ```

use clap::Parser;
use logistic::{arguments::Arguments, program};
use std::process::ExitCode;

fn main() -> ExitCode {
    env_logger::init();
    match program::run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
