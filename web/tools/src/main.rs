//! What `cargo xtask web` runs: wasm-bindgen, sizes, and a server of files.

mod bindgen;
mod embed;
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
    /// Write the parts of an npm package from a wasm file that cargo built: glue, types and wasm
    Factory {
        /// The wasm file
        wasm: PathBuf,
        /// Where the parts go
        folder: PathBuf,
        /// The package's main module
        #[arg(long)]
        name: String,
    },
    /// Write an ES module that has a file's bytes in it
    Embed {
        /// The file
        file: PathBuf,
        /// The module
        module: PathBuf,
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
        Tool::Bindgen { wasm, folder, name } => bindgen::module(&wasm, &folder, &name).map_err(Into::into),
        Tool::Factory { wasm, folder, name } => bindgen::factory(&wasm, &folder, &name).map_err(Into::into),
        Tool::Embed { file, module } => embed::run(&file, &module).map_err(Into::into),
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
