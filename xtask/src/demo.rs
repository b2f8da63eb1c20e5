//! `cargo xtask demo`: what Lookahead changes, by learning rate.

use std::io;
use std::path::{Path, PathBuf};

use crate::adapters::quiet_device_select;
use crate::command::{CommandError, CommandLine};
use crate::output;
use crate::provide::{self, NoAdapter};
use crate::workspace::{Workspace, WorkspaceError};

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    NoAdapter(#[from] NoAdapter),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error("could not create the directory {}: {source}", directory.display())]
    Directory { directory: PathBuf, source: io::Error },
    #[error("the demo ended well but wrote no plot at {}", plot.display())]
    NoPlot { plot: PathBuf },
}

/// Sees to an adapter, trains, and says where the plot is.
pub fn run(install: bool) -> Result<(), DemoError> {
    output::heading("adapter: what the demo trains on");
    provide::any(install)?;

    output::heading("demo: handwritten digits, at six learning rates, with and without Lookahead");
    let directory = Workspace::here()?.target.join("demo");
    std::fs::create_dir_all(&directory)
        .map_err(|source| DemoError::Directory { directory: directory.clone(), source })?;
    let [plot, json, csv] = ["digits.png", "digits.json", "digits.csv"].map(|name| directory.join(name));
    // The plot of an earlier run must not pass for this one's. Mostly there is none to remove.
    let _ = std::fs::remove_file(&plot);
    let mut train = train(&plot, &json, &csv);
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        train = train.envs(vec![quiet_device_select()]);
    }
    train.run()?;
    if !plot.is_file() {
        return Err(DemoError::NoPlot { plot });
    }
    output::line(format_args!("\nEvery run: {} and {}", csv.display(), json.display()));
    output::line(format_args!("The plot: {}", plot.display()));
    Ok(())
}

/// Learning rates from too low to too high, so that it shows where each optimizer works; five seeds, since one shows
/// chance as well.
const OPTIONS: [&str; 6] = ["--data", "digits", "--sweep", "lr=0.001:0.3", "--seeds", "5"];

fn train(plot: &Path, json: &Path, csv: &Path) -> CommandLine {
    let words = ["run", "--release", "--package", "train", "--"];
    let files = [("--plot", plot), ("--json", json), ("--csv", csv)];
    let command = CommandLine::new("cargo", words.into_iter().chain(OPTIONS));
    files.into_iter().fold(command, |command, (option, path)| command.arg(option).arg(path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plot_and_the_numbers_go_where_they_are_asked() {
        let [plot, json, csv] = ["/t/demo/a.png", "/t/demo/a.json", "/t/demo/a.csv"].map(Path::new);
        assert_eq!(
            train(plot, json, csv).to_string(),
            "cargo run --release --package train -- --data digits --sweep lr=0.001:0.3 --seeds 5 \
             --plot /t/demo/a.png --json /t/demo/a.json --csv /t/demo/a.csv"
        );
    }
}
