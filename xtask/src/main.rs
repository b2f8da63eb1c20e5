//! The developer commands of this workspace, run as `cargo xtask <command>`.

mod adapters;
mod apt;
mod bundle;
mod burn;
mod chromium;
mod command;
mod demo;
mod mpi;
mod msrv;
mod node;
mod output;
mod peers;
mod provide;
mod targets;
mod test;
mod web;
mod workspace;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::peers::{Options, Part, Tensors};
use crate::web::Then;

const TEST_EXAMPLES: &str = "\
Examples:
  cargo xtask test                install what is missing, then run everything
  cargo xtask test --no-install   install nothing, say what is missing
  CI=true cargo xtask test        fail when a software adapter is missing";

const DEMO_EXAMPLES: &str = "\
Examples:
  cargo xtask demo                install lavapipe if there is no adapter, then train
  cargo xtask demo --no-install   install nothing";

const WEB_EXAMPLES: &str = "\
Examples:
  cargo xtask web                 build, then serve on http://127.0.0.1:8080/
  cargo xtask web --port 0        serve on a port that is free
  cargo xtask web --build         build only: web/dist/page and web/dist/package
  cargo xtask web --test          build, then run the tests in Chromium";

const BURN_EXAMPLES: &str = "\
Examples:
  cargo xtask burn                install lavapipe if there is no adapter, then run everything
  cargo xtask burn --no-fusion    the library alone, without Burn's fusion
  cargo xtask burn --no-install   install nothing";

const MPI_EXAMPLES: &str = "\
Examples:
  cargo xtask mpi                 install Open MPI, libclang and lavapipe if they are missing, then run everything
  cargo xtask mpi --no-install    install nothing";

const PEERS_EXAMPLES: &str = "\
Examples:
  cargo xtask peers                                    everything, on the best adapter
  cargo xtask peers --only native --adapter llvmpipe   one part, on lavapipe
  cargo xtask peers --tensors small --seconds 0.2      whether everything runs, not how fast
  cargo xtask peers --json peers.json --markdown peers.md";

/// Developer commands of lookahead-wgpu
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Examples:\n  cargo xtask test\n  cargo xtask demo\n  cargo xtask web"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all tests on every adapter and in Chromium, and check the other platforms
    ///
    /// The tests run on three software adapters: lavapipe and SwiftShader (Vulkan)
    /// and llvmpipe (OpenGL). On Debian and Ubuntu the missing ones are installed
    /// with apt-get, as root or with sudo, missing Rust targets and the oldest Rust
    /// that the library promises with rustup;
    /// every command is printed before it runs. With CI=true in the environment a
    /// missing software adapter is a failure. Having no adapter at all always is.
    ///
    /// The library's tests for browsers, the npm package and the page run in
    /// Chromium on SwiftShader, the package also in Node.js and as Vite and webpack
    /// bundle it. Chromium and Node.js are installed likewise, and the npm packages
    /// of web/package-lock.json; without them it fails. Ubuntu's Chromium has no
    /// SwiftShader: install Google Chrome's package there first.
    #[command(after_help = TEST_EXAMPLES, verbatim_doc_comment)]
    Test(Install),
    /// Show what Lookahead changes: digits at six learning rates, with and without it
    ///
    /// Trains Adam and Lookahead(Adam) on handwritten digits at learning rates from
    /// 0.001 to 0.3, each with five seeds; prints a table and what it shows, and plots
    /// test loss and accuracy by learning rate. A minute or two on two cores.
    ///
    /// Runs on any adapter. On Debian and Ubuntu lavapipe is installed when there
    /// is none. The last line says where the plot is.
    #[command(after_help = DEMO_EXAMPLES, verbatim_doc_comment)]
    Demo(Install),
    /// Build the page and the npm package for browsers, and serve them
    ///
    /// What is missing is installed: Rust's wasm32 target with rustup, Node.js with
    /// apt-get on Debian and Ubuntu, and the npm packages that web/package-lock.json
    /// names with npm. The sizes are printed; a wasm file of more than 700 kB gzipped
    /// is a failure.
    #[command(after_help = WEB_EXAMPLES, verbatim_doc_comment)]
    Web(Web),
    /// Make a folder with tests and benchmarks that runs on a machine without Rust
    ///
    /// It has the tests on devices, the benchmarks, the Vulkan loader, PyTorch's peers and a
    /// script that runs all of them; target/bundle on this machine. For a machine with a GPU
    /// and its driver, and nothing else.
    #[command(verbatim_doc_comment)]
    Bundle,
    /// Run the tests of lookahead-burn: Lookahead in Burn, and the experiments
    ///
    /// Library, documentation and experiments of the workspace in burn/, in release
    /// mode, on Burn's CPU backend and on its wgpu backend with any adapter. On Debian
    /// and Ubuntu lavapipe is installed when there is none.
    ///
    /// Builds hundreds of crates the first time, about 10 minutes on two cores, and
    /// needs Rust 1.95.
    #[command(after_help = BURN_EXAMPLES, verbatim_doc_comment)]
    Burn(Burn),
    /// Run the tests of lookahead-mpi: Lookahead over many machines
    ///
    /// Library, documentation and the program train_workers of the workspace in mpi/, on
    /// up to four processes of this machine and any adapter. On Debian and Ubuntu Open MPI
    /// and libclang, which its bindings are made with, are installed when they are not
    /// there, and lavapipe when there is no adapter.
    #[command(after_help = MPI_EXAMPLES, verbatim_doc_comment)]
    Mpi(Install),
    /// Time this library's steps beside those of its peers, on this machine
    ///
    /// Native, on one adapter: WGSL written by hand, and Burn with fusion and without.
    /// Web, in Chromium on SwiftShader: the npm package, TensorFlow.js and jax-js.
    /// PyTorch, on its GPU or on the CPU. Adam, and Lookahead around it; each is first
    /// compared with this library's results, as far as it can be.
    ///
    /// Prints a table a group, and says so where the machine is busy. What is missing
    /// is installed as for the tests; without PyTorch its table is left out. Builds
    /// Burn twice, which takes some minutes the first time and needs Rust 1.95.
    #[command(after_help = PEERS_EXAMPLES, verbatim_doc_comment)]
    Peers(Peers),
}

#[derive(Args)]
struct Peers {
    /// The adapter of the native part: its name, driver or backend contains TEXT, in any case
    #[arg(long, value_name = "TEXT")]
    adapter: Option<String>,
    /// One part alone
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Part>,
    /// What the native part steps: 161 tensors
    #[arg(long, value_enum, default_value_t = Tensors::Resnet50)]
    tensors: Tensors,
    /// Seconds of samples for each row
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Write every figure to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables to FILE
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    #[command(flatten)]
    install: Install,
}

impl From<Peers> for Options {
    fn from(peers: Peers) -> Self {
        let Peers { adapter, only, tensors, seconds, json, markdown, install } = peers;
        Self { adapter, tensors, only, seconds, install: !install.no_install, json, markdown }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| (0.0..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "give a number of seconds, 10 say".to_owned())
}

#[derive(Args)]
struct Web {
    /// Build and do not serve
    #[arg(long)]
    build: bool,
    /// Build and run the tests in Chromium on SwiftShader, and do not serve
    #[arg(long, conflicts_with = "build")]
    test: bool,
    /// The port on 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 8080)]
    port: u16,
    #[command(flatten)]
    install: Install,
}

#[derive(Args)]
struct Burn {
    /// Without Burn's fusion, which its default features have: another build, of the library alone
    #[arg(long)]
    no_fusion: bool,
    #[command(flatten)]
    install: Install,
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
        Command::Demo(install) => exit(demo::run(!install.no_install)),
        Command::Bundle => exit(bundle::run()),
        Command::Burn(burn) => exit(burn::run(!burn.install.no_install, !burn.no_fusion)),
        Command::Mpi(install) => exit(mpi::run(!install.no_install)),
        Command::Peers(peers) => exit(peers::run(&peers.into())),
        Command::Web(web) => {
            let then = match (web.build, web.test) {
                (true, _) => Then::Nothing,
                (_, true) => Then::Test,
                _ => Then::Serve { port: web.port },
            };
            exit(web::run(!web.install.no_install, &then))
        }
    }
}

/// The exit code of a command, whose error is printed.
fn exit(result: Result<(), impl Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(error);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command, Options, Part, Tensors};

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    fn peers(words: &[&str]) -> Result<Options, clap::Error> {
        match Cli::try_parse_from([&["xtask", "peers"], words].concat())?.command {
            Command::Peers(peers) => Ok(peers.into()),
            _ => unreachable!("`peers` is the command's name"),
        }
    }

    #[test]
    fn peers_is_told_what_to_measure() {
        let all = peers(&[]).unwrap();
        assert_eq!((all.only, all.tensors, all.install), (None, Tensors::Resnet50, true));
        let words =
            ["--only", "web", "--tensors", "small", "--seconds", "0.2", "--no-install", "--json", "a.json"];
        let some = peers(&words).unwrap();
        assert_eq!((some.only, some.tensors, some.install), (Some(Part::Web), Tensors::Small, false));
        assert_eq!((some.seconds, some.json), (0.2, Some("a.json".into())));
        for wrong in [["--seconds", "-1"], ["--seconds", "ten"], ["--only", "burn"]] {
            assert!(peers(&wrong).is_err(), "{wrong:?}");
        }
    }
}
