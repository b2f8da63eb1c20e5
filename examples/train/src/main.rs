//! Trains a multi-layer perceptron on images, all on the GPU: alone with an optimizer, or with Lookahead
//! around it, or both for comparison.
//!
//! ```text
//! cargo run --release -p train -- --compare --plot compare.png
//! ```

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    use clap::Parser;
    use std::process::ExitCode;

    env_logger::init();
    match train::program::run(&train::arguments::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// A browser runs the library's part of it, from `web/page`.
#[cfg(target_arch = "wasm32")]
fn main() {}
