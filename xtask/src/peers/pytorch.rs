//! PyTorch, by `benches/peers/pytorch.py`.

use std::path::PathBuf;
use std::{fs, io};

use crate::apt::{InstallError, Installer};
use crate::command::{CommandError, CommandLine};
use crate::workspace::Workspace;

#[derive(Debug, thiserror::Error)]
pub enum PyTorchError {
    #[error("no Python here has PyTorch: {0}")]
    Missing(#[from] InstallError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("{}: {source}", file.display())]
    Report { file: PathBuf, source: io::Error },
}

/// The user's own Python comes first; Debian's packages are for the system's.
const PYTHONS: [&str; 2] = ["python3", "/usr/bin/python3"];

pub struct PyTorch {
    python: &'static str,
    script: PathBuf,
    report: PathBuf,
}

impl PyTorch {
    /// Finds a Python with PyTorch; Debian's is installed where there is none and that is allowed.
    pub fn provide(workspace: &Workspace, install: bool) -> Result<Self, PyTorchError> {
        let there = || PYTHONS.into_iter().find(|python| has_torch(python));
        let python = Installer::here().provide(there, &["python3-torch"], install)?;
        let report = workspace.target.join("peers/pytorch.json");
        let folder = report.parent().map_or(Ok(()), fs::create_dir_all);
        folder.map_err(|source| PyTorchError::Report { file: report.clone(), source })?;
        Ok(Self { python, script: workspace.root.join("benches/peers/pytorch.py"), report })
    }

    /// Measures, and gives the report that it writes.
    pub fn run(&self, seconds: f64) -> Result<String, PyTorchError> {
        // An earlier run's must not pass for this one's. Mostly there is none to remove.
        let _ = fs::remove_file(&self.report);
        CommandLine::new(self.python, [])
            .arg(self.script.to_string_lossy())
            .arg("--tensors")
            .arg("resnet50")
            .arg("--seconds")
            .arg(seconds.to_string())
            .arg("--json")
            .arg(self.report.to_string_lossy())
            .run()?;
        fs::read_to_string(&self.report)
            .map_err(|source| PyTorchError::Report { file: self.report.clone(), source })
    }
}

/// Looked for and not imported, which takes seconds.
fn has_torch(python: &str) -> bool {
    let look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)";
    CommandLine::new(python, ["-c", look]).read().is_ok()
}
