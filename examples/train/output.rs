//! Files to write at the end, opened at the start: that one of them cannot be written shows before
//! any work is done.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be written ({source}); give a file in a folder that exists", path.display())]
pub struct OutputError {
    path: PathBuf,
    source: io::Error,
}

/// A file that will be written. What it holds stays as it is until then.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    file: File,
    /// Whether to remove it again where nothing gets written.
    is_new: bool,
}

impl Output {
    /// Opens a file for writing, and makes it where it is not there.
    pub fn open(path: &Path) -> Result<Self, OutputError> {
        let failed = |source| OutputError { path: path.to_owned(), source };
        let made = OpenOptions::new().write(true).create_new(true).open(path);
        let is_new = made.is_ok();
        let file = match made {
            Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => {
                OpenOptions::new().write(true).open(path)
            }
            other => other,
        };
        Ok(Self { path: path.to_owned(), file: file.map_err(failed)?, is_new })
    }

    /// Replaces what the file holds.
    pub fn write(mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let outcome = self.replace(bytes);
        self.is_new = false;
        outcome.map_err(|source| OutputError { path: self.path.clone(), source })
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A pipe or a device has no length to set.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write_all(bytes)?;
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.is_new {
            // An empty file left behind does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
