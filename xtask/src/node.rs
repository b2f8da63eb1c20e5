//! Node.js, and the npm packages that a folder's `package-lock.json` names.

use std::io;
use std::path::{Path, PathBuf};

use crate::apt::{self, InstallError, Installer};
use crate::command::{CommandError, CommandLine};

/// The oldest Node.js that all of them run on.
const OLDEST: u32 = 18;

#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("Node.js and npm are missing: {0}")]
    Missing(#[from] InstallError),
    #[error("Node.js {found} is too old; install {OLDEST} or later")]
    TooOld { found: String },
    #[error("the npm packages are not installed because of --no-install; run: {command}")]
    Forbidden { command: String },
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Sees to Node.js, npm and the packages that a folder locks.
pub fn provide(folder: &Path, install: bool) -> Result<(), NodeError> {
    let there = || apt::find("node").zip(apt::find("npm"));
    Installer::here().provide(there, &["nodejs", "npm"], install)?;
    let version = CommandLine::new("node", ["--version"]).read()?;
    if major(&version).is_none_or(|major| major < OLDEST) {
        return Err(NodeError::TooOld { found: version.trim().to_owned() });
    }
    packages(folder, install)
}

/// Installs the packages unless they were installed from this very lock file.
fn packages(folder: &Path, install: bool) -> Result<(), NodeError> {
    let (lock, installed) =
        (folder.join("package-lock.json"), folder.join("node_modules/.installed-lock.json"));
    let wanted = read(&lock)?;
    if std::fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    // No package's own programs are run: none needs them on the systems of the tests.
    let command =
        CommandLine::new("npm", ["ci", "--ignore-scripts", "--prefix"]).arg(folder.to_string_lossy());
    if !install {
        return Err(NodeError::Forbidden { command: command.to_string() });
    }
    command.run()?;
    std::fs::write(&installed, wanted).map_err(|source| NodeError::File { file: installed, source })
}

fn read(file: &Path) -> Result<String, NodeError> {
    std::fs::read_to_string(file).map_err(|source| NodeError::File { file: file.to_owned(), source })
}

/// `20` of `v20.1.2`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major("v18.20.4\n"), Some(18));
        assert_eq!(major("20"), None);
        assert_eq!(major(""), None);
    }
}
