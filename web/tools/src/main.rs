//! What `cargo xtask web` runs: wasm-bindgen, sizes, and a server of files.

mod serve;
mod size;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// The tools of `cargo xtask web`
#[derive(Parser)]
#[command(name = "web-tools")]
enum Cli {
    #[command(flatten)]
    Tool(Tool),
}

#[derive(Subcommand)]
enum Tool {
    /// Write the ES module of a wasm file that cargo built
    Bindgen {
        /// The wasm file
        wasm: PathBuf,
        /// Where the module goes
        folder: PathBuf,
        /// The module's name
        #[arg(long)]
        name: String,
    },
    /// Print a file's size, plain and gzipped, and fail beyond a budget
    Size {
        /// The file
        file: PathBuf,
        /// The most bytes that it may have gzipped
        #[arg(long)]
        budget: u64,
    },
    /// Serve a folder on 127.0.0.1
    Serve {
        /// The folder
        folder: PathBuf,
        /// The port; 0 for any that is free
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
}

fn main() -> ExitCode {
    let Cli::Tool(tool) = Cli::parse();
    let outcome: Result<(), Box<dyn std::error::Error>> = match tool {
        Tool::Bindgen { wasm, folder, name } => bindgen(wasm, folder, &name),
        Tool::Size { file, budget } => size::run(&file, budget).map_err(Into::into),
        Tool::Serve { folder, port } => serve::run(&folder, port).map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bindgen(wasm: PathBuf, folder: PathBuf, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(wasm).out_name(name).typescript(true).omit_default_module_path(false).web(true)?;
    bindgen.generate(folder).map_err(|error| format!("{error:#}").into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
