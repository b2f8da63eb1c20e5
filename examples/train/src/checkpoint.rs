//! Checkpoints on disk: a snapshot of the optimizer, and next to it a JSON file with the settings and the history
//! of the run.
//!
//! Each file is replaced whole or not at all. The history is written first: where a run ends between the two, it
//! goes on past the snapshot, and what is too new is forgotten on resuming.

use crate::history::History;
use crate::output::{Output, OutputError};
use crate::settings::Settings;
use lookahead_wgpu::{Error, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
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
    /// What is there is no file that a checkpoint could replace.
    #[error("`{}` cannot become a checkpoint: it is {what}; give another --checkpoint", path.display())]
    Unfit {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// What would be the history is another file, which would be lost.
    #[error(
        "`{}`, where the history of the checkpoint `{}` belongs, is another file ({reason}); give another \
         --checkpoint, or move that file", path.display(), checkpoint.display()
    )]
    Taken {
        /// The file.
        path: PathBuf,
        /// The checkpoint.
        checkpoint: PathBuf,
        /// What it is.
        reason: String,
    },
    /// A file cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
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

    /// Where to go on from; nowhere where there is no file yet. Makes sure that both files can be written, and that
    /// they are this program's own where they are there.
    pub fn start(&self, is_resumed: bool) -> Result<Option<(Snapshot, History)>, CheckpointError> {
        let path = journal(&self.path);
        if let Some(what) = unfit(&self.path) {
            return Err(CheckpointError::Unfit { path: self.path.clone(), what });
        }
        if !self.path.exists() {
            check_journal(&path, &self.path)?;
            [&self.path, &path].into_iter().try_for_each(|path| Output::open(path).map(drop))?;
            return Ok(None);
        }
        if !is_resumed {
            return Err(CheckpointError::Exists { path: self.path.clone() });
        }
        let text =
            std::fs::read(&path).map_err(|source| CheckpointError::File { path: path.clone(), source })?;
        let journal: Journal<History> = serde_json::from_slice(&text)
            .map_err(|source| CheckpointError::History { path: path.clone(), source })?;
        self.compare(&journal.settings)?;
        let snapshot = Snapshot::load(&self.path).map_err(|source| self.snapshot(source))?;
        Output::open(&path)?;
        Ok(Some((snapshot, journal.history)))
    }

    /// Replaces the checkpoint.
    pub fn keep(&self, snapshot: &Snapshot, history: &History) -> Result<(), CheckpointError> {
        let path = journal(&self.path);
        let journal = Journal { settings: self.settings.clone(), history };
        let text = serde_json::to_vec(&journal)
            .map_err(|source| CheckpointError::History { path: path.clone(), source })?;
        Output::open(&path)?.write(&text)?;
        snapshot.save(&self.path).map_err(|source| self.snapshot(source))
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

/// The JSON file of a checkpoint: the snapshot's name and `.json`.
pub fn journal(checkpoint: &Path) -> PathBuf {
    let mut name = checkpoint.to_owned().into_os_string();
    name.push(".json");
    name.into()
}

/// What is there, where it is nothing that a save replaces.
fn unfit(path: &Path) -> Option<&'static str> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Some("a folder"),
        Ok(metadata) if !metadata.is_file() => Some("no regular file"),
        Err(_) if path.is_symlink() => Some("a symbolic link that leads nowhere"),
        _ => None,
    }
}

/// Refuses a file that is no history of a checkpoint. One may be there without its checkpoint: it is written first.
fn check_journal(path: &Path, checkpoint: &Path) -> Result<(), CheckpointError> {
    let taken = |reason: String| CheckpointError::Taken {
        path: path.to_owned(),
        checkpoint: checkpoint.to_owned(),
        reason,
    };
    match path.metadata() {
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(CheckpointError::File { path: path.to_owned(), source }),
        Ok(metadata) if !metadata.is_file() => return Err(taken("it is no regular file".to_owned())),
        Ok(_) => {}
    }
    let text =
        std::fs::read(path).map_err(|source| CheckpointError::File { path: path.to_owned(), source })?;
    serde_json::from_slice::<Journal<History>>(&text).map_err(|problem| taken(problem.to_string())).map(drop)
}
