//! Reptile on sine waves: a network learns weights from which ten points and some steps fit a wave that it has not seen.
//!
//! ```text
//! cargo run --release -p reptile
//! ```

use clap::Parser;
use reptile::{arguments::Arguments, program};
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
