//! `cargo xtask peers`: this library's steps beside those of its peers, on this machine, in one table a group.

mod busy;
mod group;
mod load;
mod native;
mod page;
mod pytorch;
mod report;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::command::CommandLine;
use crate::output;
use crate::peers::group::{Group, GroupError};
use crate::peers::load::Load;
use crate::peers::native::{Native, NativeError};
use crate::peers::page::Page;
use crate::peers::pytorch::{PyTorch, PyTorchError};
use crate::peers::report::Report;
use crate::web::WebError;
use crate::workspace::{Workspace, WorkspaceError};

/// What can be left out.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Part {
    /// This library, WGSL written by hand and Burn, on one adapter
    Native,
    /// The npm package, TensorFlow.js and jax-js, in Chromium
    Web,
    /// PyTorch
    Pytorch,
}

impl Part {
    const ALL: [Self; 3] = [Self::Native, Self::Web, Self::Pytorch];

    fn title(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Web => "web",
            Self::Pytorch => "PyTorch",
        }
    }
}

/// What the 161 tensors are of.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Tensors {
    /// ResNet-50: 25.6 million values
    Resnet50,
    /// A network an eighth as wide: 0.6 million values, for a look at whether everything runs
    Small,
}

/// What the command is told.
pub struct Options {
    pub adapter: Option<String>,
    pub tensors: Tensors,
    pub only: Option<Part>,
    /// Of samples, for each row.
    pub seconds: f64,
    pub install: bool,
    pub json: Option<PathBuf>,
    pub markdown: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error("`{}` cannot be written ({source}); give a file in a folder that exists", file.display())]
    Write { file: PathBuf, source: io::Error },
    #[error("not measured: {0}; why is said above")]
    Parts(String),
}

/// What ends a part.
#[derive(Debug, thiserror::Error)]
enum PartError {
    #[error(transparent)]
    Native(#[from] NativeError),
    #[error(transparent)]
    Page(#[from] WebError),
    #[error(transparent)]
    PyTorch(#[from] PyTorchError),
    #[error(transparent)]
    Group(#[from] GroupError),
}

/// A part that is there to be run.
enum Ready {
    Native(Native),
    Page(Page),
    PyTorch(PyTorch),
}

/// Builds everything, then measures one part after the other, and prints the tables. A part that fails does not keep the
/// others.
pub fn run(options: &Options) -> Result<(), PeersError> {
    let load = Load::now();
    let workspace = Workspace::here()?;
    // That a file cannot be written shows now, not after minutes of work.
    let json = options.json.as_deref().map(create).transpose()?;
    let markdown = options.markdown.as_deref().map(create).transpose()?;
    let mut report = Report::new(commit(), load);

    let parts = Part::ALL.into_iter().filter(|part| options.only.is_none_or(|only| only == *part));
    let mut ready = vec![];
    for part in parts {
        output::heading(format_args!("{}: what it needs", part.title()));
        match prepare(part, &workspace, options) {
            Ok(Some(part_ready)) => ready.push((part, part_ready)),
            Ok(None) => {}
            Err(error) => fail(&mut report, part, error),
        }
    }
    for (part, ready) in ready {
        output::heading(format_args!("{}: measuring", part.title()));
        report.note_business(part.title(), busy::share());
        match measure(&ready, options) {
            Ok(group) => report.groups.push(group),
            Err(error) => fail(&mut report, part, error),
        }
    }
    report.compare_pytorch();

    output::heading("peers");
    output::line(report.markdown());
    write(markdown, &report.markdown())?;
    write(json, &report.json())?;
    match report.failed() {
        failed if failed.is_empty() => Ok(()),
        failed => Err(PeersError::Parts(failed)),
    }
}

/// Prints why a part is not measured, and keeps it for the end.
fn fail(report: &mut Report, part: Part, error: PartError) {
    output::error(format_args!("{}: {error}", part.title()));
    report.fail(part.title(), error);
}

/// Builds or finds what a part runs; nothing where it is left out, which is said.
fn prepare(part: Part, workspace: &Workspace, options: &Options) -> Result<Option<Ready>, PartError> {
    Ok(match part {
        Part::Native => Some(Ready::Native(Native::build(workspace, options.install)?)),
        Part::Web => Some(Ready::Page(Page::build(workspace, options.install)?)),
        Part::Pytorch => match PyTorch::provide(workspace, options.install) {
            Ok(there) => Some(Ready::PyTorch(there)),
            Err(PyTorchError::Missing(error)) if options.only.is_none() => {
                output::line(format_args!("PyTorch is left out: {error}"));
                None
            }
            Err(error) => return Err(error.into()),
        },
    })
}

fn measure(ready: &Ready, options: &Options) -> Result<Group, PartError> {
    Ok(match ready {
        Ready::Native(native) => {
            let tensors = options.tensors.to_possible_value();
            let tensors = tensors.map(|value| value.get_name().to_owned()).unwrap_or_default();
            Group::parse("native", &native.run(options.adapter.as_deref(), &tensors, options.seconds)?)?
        }
        Ready::Page(page) => Group::parse("web", &page.run(options.seconds)?)?,
        Ready::PyTorch(pytorch) => Group::parse_pytorch(&pytorch.run(options.seconds)?)?,
    })
}

/// The commit that is measured, and whether files differ from it.
fn commit() -> String {
    let described = CommandLine::new("git", ["describe", "--always", "--dirty"]).read();
    described.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

type Output<'a> = (&'a Path, File);

fn create(file: &Path) -> Result<Output<'_>, PeersError> {
    let created = File::create(file);
    created.map(|open| (file, open)).map_err(|source| PeersError::Write { file: file.to_owned(), source })
}

fn write(to: Option<Output<'_>>, text: &str) -> Result<(), PeersError> {
    let Some((file, mut open)) = to else { return Ok(()) };
    open.write_all(text.as_bytes()).map_err(|source| PeersError::Write { file: file.to_owned(), source })
}
