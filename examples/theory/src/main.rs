//! Section 3 of the Lookahead paper, exact and measured on the GPU with the optimizer itself: figures 3 and 4,
//! propositions 1 and 2.
//!
//! ```text
//! cargo run --release -p theory -- all
//! ```

use clap::Parser;
use std::process::ExitCode;
use theory::{arguments::Arguments, program};

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
