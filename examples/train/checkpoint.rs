//! Checkpoints on disk: a snapshot of the optimizer, and next to it a JSON file with the settings and the history
//! of the run.
//!
//! Each file is replaced whole or not at all. The history is written first: where a run ends between the two, it
//! goes on past the snapshot, and what is too new is forgotten on resuming.

use super::history::History;
use super::settings::Settings;
use lookahead_wgpu::{Error, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Settings that may change on resuming.
const FREE: [&str; 2] = ["epochs", "tests_each_epoch"];

/// A checkpoint cannot be written, or not be gone on from.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// There is one, which would be lost.
    #[error("`{}` is there already; go on from it with --resume, or give another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("`{}` cannot be {}: {source}", path.display(), doing)]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The history is no such file.
    #[error("`{}` is not the history of a checkpoint: {source}", path.display())]
    History {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The checkpoint is of another run.
    #[error("`{}` is of a run with {name} {there}, and {here} is asked for; give its settings", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// The setting that differs.
        name: String,
        /// What it is in the checkpoint.
        there: Value,
        /// What it is here.
        here: Value,
    },
    /// The snapshot cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Error,
    },
}

/// Where the checkpoints of a run lie.
pub struct Checkpoint {
    path: PathBuf,
    settings: Value,
}

/// What the JSON file holds.
#[derive(Serialize, Deserialize)]
struct Journal<H> {
    settings: Value,
    history: H,
}

impl Checkpoint {
    /// The checkpoints of a run on this data with these settings, in this file.
    pub fn new(path: &Path, data: &str, settings: &Settings) -> Result<Self, CheckpointError> {
        let failed = |source| CheckpointError::History { path: path.to_owned(), source };
        let mut settings = serde_json::to_value(settings).map_err(failed)?;
        settings["data"] = data.into();
        for name in FREE {
            settings.as_object_mut().and_then(|settings| settings.remove(name));
        }
        Ok(Self { path: path.to_owned(), settings })
    }

    /// Where to go on from; nowhere where there is no file yet.
    pub fn start(&self, is_resumed: bool) -> Result<Option<(Snapshot, History)>, CheckpointError> {
        if !self.path.exists() {
            return Ok(None);
        }
        if !is_resumed {
            return Err(CheckpointError::Exists { path: self.path.clone() });
        }
        let path = self.journal();
        let text = std::fs::read(&path).map_err(|source| file(&path, "read", source))?;
        let journal: Journal<History> = serde_json::from_slice(&text)
            .map_err(|source| CheckpointError::History { path: path.clone(), source })?;
        self.compare(&journal.settings)?;
        let snapshot = Snapshot::load(&self.path).map_err(|source| self.snapshot(source))?;
        Ok(Some((snapshot, journal.history)))
    }

    /// Replaces the checkpoint.
    pub fn keep(&self, snapshot: &Snapshot, history: &History) -> Result<(), CheckpointError> {
        let path = self.journal();
        let journal = Journal { settings: self.settings.clone(), history };
        let text = serde_json::to_vec(&journal)
            .map_err(|source| CheckpointError::History { path: path.clone(), source })?;
        replace(&path, &text).map_err(|source| file(&path, "written", source))?;
        snapshot.save(&self.path).map_err(|source| self.snapshot(source))
    }

    /// The JSON file: the snapshot's name and `.json`.
    fn journal(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".json");
        name.into()
    }

    fn compare(&self, there: &Value) -> Result<(), CheckpointError> {
        let names = self.settings.as_object().into_iter().flatten();
        for (name, here) in names {
            if there[name] != *here {
                let (name, there, here) = (name.replace('_', " "), there[name].clone(), here.clone());
                return Err(CheckpointError::Settings { path: self.path.clone(), name, there, here });
            }
        }
        Ok(())
    }

    fn snapshot(&self, source: Error) -> CheckpointError {
        CheckpointError::Snapshot { path: self.path.clone(), source }
    }
}

fn file(path: &Path, doing: &'static str, source: io::Error) -> CheckpointError {
    CheckpointError::File { path: path.to_owned(), doing, source }
}

/// Replaces a file whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.to_owned().into_os_string();
    name.push(".new");
    let mut file = File::create(&name)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(name, path)
}
