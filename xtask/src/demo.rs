//! `cargo xtask demo`: training with and without Lookahead, plotted.

use std::io;
use std::path::{Path, PathBuf};

use crate::adapters::{Adapters, SoftwareAdapter, find_here, quiet_device_select};
use crate::command::{CommandError, CommandLine};
use crate::output;
use crate::provide;
use crate::workspace::{Workspace, WorkspaceError};

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("no graphics adapter; {missing}")]
    NoAdapter { missing: String },
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
    adapter(install)?;

    output::heading("demo: handwritten digits, with and without Lookahead");
    let directory = Workspace::here()?.target.join("demo");
    std::fs::create_dir_all(&directory)
        .map_err(|source| DemoError::Directory { directory: directory.clone(), source })?;
    let plot = directory.join("digits.png");
    // The plot of an earlier run must not pass for this one's. Mostly there is none to remove.
    let _ = std::fs::remove_file(&plot);
    let mut train = train(&plot, &directory.join("digits.json"));
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        train = train.envs(vec![quiet_device_select()]);
    }
    train.run()?;
    if !plot.is_file() {
        return Err(DemoError::NoPlot { plot });
    }
    output::line(format_args!("\nThe plot: {}", plot.display()));
    Ok(())
}

fn adapter(install: bool) -> Result<(), DemoError> {
    if !cfg!(target_os = "linux") {
        output::line("Metal or Direct3D 12, part of the system");
        return Ok(());
    }
    let provided = provide::provide(wanted(&find_here()), install);
    if provided.adapters.any() {
        provided.missing.iter().for_each(output::line);
        return Ok(());
    }
    Err(DemoError::NoAdapter { missing: provided.missing.join("; ") })
}

/// Lavapipe, unless there is a graphics device.
fn wanted(adapters: &Adapters) -> &'static [SoftwareAdapter] {
    match adapters.hardware {
        true => &[],
        false => &[SoftwareAdapter::Lavapipe],
    }
}

fn train(plot: &Path, json: &Path) -> CommandLine {
    let words = ["run", "--release", "--package", "train", "--"];
    let options = ["--data", "digits", "--compare"];
    CommandLine::new("cargo", words.into_iter().chain(options))
        .arg("--plot")
        .arg(plot.to_string_lossy())
        .arg("--json")
        .arg(json.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graphics_device_is_enough() {
        let device = Adapters { hardware: true, ..Adapters::default() };
        assert!(wanted(&device).is_empty());
        assert_eq!(wanted(&Adapters::default()), [SoftwareAdapter::Lavapipe]);
    }

    #[test]
    fn the_plot_and_the_numbers_go_where_they_are_asked() {
        let command = train(Path::new("/t/demo/digits.png"), Path::new("/t/demo/digits.json"));
        assert_eq!(
            command.to_string(),
            "cargo run --release --package train -- --data digits --compare \
             --plot /t/demo/digits.png --json /t/demo/digits.json"
        );
    }
}
