//! The developer commands of this workspace, run as `cargo xtask <command>`.

mod adapters;
mod apt;
mod command;
mod demo;
mod output;
mod provide;
mod targets;
mod test;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

const TEST_EXAMPLES: &str = "\
Examples:
  cargo xtask test                install what is missing, then run everything
  cargo xtask test --no-install   install nothing, say what is missing
  CI=true cargo xtask test        fail when a software adapter is missing";

const DEMO_EXAMPLES: &str = "\
Examples:
  cargo xtask demo                install lavapipe if there is no adapter, then train
  cargo xtask demo --no-install   install nothing";

/// Developer commands of lookahead-wgpu
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Examples:\n  cargo xtask test\n  cargo xtask demo"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all tests on every adapter, and check the other platforms
    ///
    /// The tests run on three software adapters: lavapipe and SwiftShader (Vulkan)
    /// and llvmpipe (OpenGL). On Debian and Ubuntu the missing ones are installed
    /// with apt-get, as root or with sudo, and missing Rust targets with rustup;
    /// every command is printed before it runs. With CI=true in the environment a
    /// missing software adapter is a failure. Having no adapter at all always is.
    #[command(after_help = TEST_EXAMPLES, verbatim_doc_comment)]
    Test(Install),
    /// Train on handwritten digits with and without Lookahead, and plot both
    ///
    /// Runs on any adapter. On Debian and Ubuntu lavapipe is installed when there
    /// is none. The last line says where the plot is.
    #[command(after_help = DEMO_EXAMPLES, verbatim_doc_comment)]
    Demo(Install),
}

#[derive(Args)]
struct Install {
    /// Install nothing: say what is missing and how to install it
    #[arg(long)]
    no_install: bool,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Test(install) => {
            if test::run(!install.no_install) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Command::Demo(install) => match demo::run(!install.no_install) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                output::error(&error);
                ExitCode::FAILURE
            }
        },
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
