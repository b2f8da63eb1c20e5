//! Where runs lie: a folder with a record of each that is over, and a checkpoint of each that is not.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::replace::{forget, replace};
use crate::run::record::{Pace, Record, Run};
use crate::train::TrainError;

/// A folder of runs.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// A folder, which is made where there is none.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] where it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(folder).map_err(TrainError::file(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where a run's record is or will be.
    pub fn record(&self, run: &Run) -> PathBuf {
        self.folder.join(format!("{}.json", name(run)))
    }

    /// Where a run is saved while it goes on.
    pub fn checkpoint(&self, run: &Run) -> PathBuf {
        self.folder.join(format!("{}.checkpoint", name(run)))
    }

    /// A run's record; none where it is not over.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] where it cannot be read; [`TrainError::Checkpoint`] where it is none, or of another run.
    pub fn load(&self, run: &Run) -> Result<Option<Record>, TrainError> {
        let path = self.record(run);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(problem) if problem.kind() == ErrorKind::NotFound => return Ok(None),
            Err(problem) => return Err(TrainError::file(&path)(problem)),
        };
        let unfit = |problem: String| TrainError::Checkpoint { path: path.clone(), problem };
        let record: Record =
            serde_json::from_str(&text).map_err(|problem| unfit(format!("is no record ({problem})")))?;
        match record.run == *run {
            true => Ok(Some(record)),
            false => Err(unfit(format!("is of another run ({})", record.run.method))),
        }
    }

    /// Writes a record, and removes the run's checkpoint, with what is left of one that was being written.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] where it cannot be written.
    pub fn save(&self, record: &Record) -> Result<(), TrainError> {
        let path = self.record(&record.run);
        let text = serde_json::to_vec_pretty(record)
            .map_err(|problem| TrainError::Checkpoint { path: path.clone(), problem: problem.to_string() })?;
        replace(&path, &text).map_err(TrainError::file(&path))?;
        let checkpoint = self.checkpoint(&record.run);
        forget(&checkpoint).map_err(TrainError::file(&checkpoint))?;
        match fs::remove_file(checkpoint) {
            Err(problem) if problem.kind() != ErrorKind::NotFound => Err(TrainError::file(&path)(problem)),
            _ => Ok(()),
        }
    }
}

/// A name that tells runs apart, and may be a file's.
fn name(run: &Run) -> String {
    let pace = match &run.pace {
        Pace::Constant => String::new(),
        Pace::Divided { after, by } => format!(" divided by {by} after {after:?}"),
        Pace::Warmup { steps, .. } => format!(" warmup {steps}"),
    };
    let probe = run.probe.map(|epoch| format!(" probe {epoch}")).unwrap_or_default();
    let Run { preset, method, epochs, seed, .. } = run;
    let text = format!("{preset} {method}{pace} {epochs} epochs seed {seed}{probe}");
    let fit = |letter: char| letter.is_ascii_alphanumeric() || ".=-".contains(letter);
    let words = text.split(|letter| !fit(letter)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}
