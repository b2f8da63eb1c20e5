//! Files to write at the end, looked at before: that one of them cannot be written shows before any work is done,
//! and nothing is touched until there is something to write.

use crate::paths;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be written ({source}); give a file in a folder that exists", path.display())]
pub struct OutputError {
    path: PathBuf,
    source: io::Error,
}

/// A file that will be written. What it holds stays as it is until then, and a new one is not there until then,
/// however the program ends.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// What this program prints goes to the same file, as it does to `/dev/stdout`: it goes there, too.
    Along(File),
    /// A new file takes the place of the one here, whole.
    Replace(PathBuf),
    /// A pipe, a device, or a file in a folder that takes no new ones.
    InPlace(File),
}

impl Output {
    /// Looks whether a file can be written, and changes nothing.
    pub fn open(path: &Path) -> Result<Self, OutputError> {
        let way = Way::find(path).map_err(|source| OutputError { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), way })
    }

    /// Replaces what the file holds.
    pub fn write(self, bytes: &[u8]) -> Result<(), OutputError> {
        let outcome = match self.way {
            Way::Along(stream) => append(stream, bytes),
            Way::Replace(target) => replace(&target, bytes),
            Way::InPlace(file) => overwrite(file, bytes),
        };
        outcome.map_err(|source| OutputError { path: self.path, source })
    }
}

impl Way {
    fn find(path: &Path) -> io::Result<Self> {
        let existing = match fs::metadata(path) {
            Ok(metadata) => Some((metadata.is_file(), OpenOptions::new().write(true).open(path)?)),
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
                let end = path.to_string_lossy().chars().next_back();
                if end.is_some_and(std::path::is_separator) {
                    return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder's path"));
                }
                None
            }
            Err(problem) => return Err(problem),
        };
        if let Some((false, special)) = existing {
            return Ok(Self::InPlace(special));
        }
        if let Some(stream) = existing.as_ref().and_then(|(_, file)| own_stream(file)) {
            return Ok(Self::Along(stream));
        }
        // A link stays one, and what it leads to is replaced.
        let target = paths::resolve(path)?;
        let file = existing.map(|(_, file)| file);
        match (tempfile::tempfile_in(folder(&target)?), file) {
            (Ok(_), _) => Ok(Self::Replace(target)),
            (Err(_), Some(file)) => Ok(Self::InPlace(file)),
            (Err(problem), None) => Err(problem),
        }
    }
}

fn folder(path: &Path) -> io::Result<&Path> {
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "it has no file name");
    path.file_name().and(path.parent()).ok_or_else(none)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".lookahead-").suffix(".tmp");
    let permissions = fs::metadata(path).ok().map(|metadata| metadata.permissions());
    // As `File::create` would: the umask takes from it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder(path)?)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|problem| problem.error)?;
    Ok(())
}

/// The one of this program's own streams that goes to this file, at the place that the stream has come to.
#[cfg(unix)]
fn own_stream(file: &File) -> Option<File> {
    use std::os::fd::AsFd;
    let wanted = paths::identity(&file.metadata().ok()?)?;
    let (out, errors) = (io::stdout(), io::stderr());
    [out.as_fd(), errors.as_fd()].into_iter().find_map(|stream| {
        let stream = File::from(stream.try_clone_to_owned().ok()?);
        let is_it = paths::identity(&stream.metadata().ok()?)? == wanted;
        is_it.then_some(stream)
    })
}

#[cfg(not(unix))]
fn own_stream(_: &File) -> Option<File> {
    None
}

fn append(mut stream: File, bytes: &[u8]) -> io::Result<()> {
    io::stdout().flush()?;
    stream.write_all(bytes)
}

fn overwrite(mut file: File, bytes: &[u8]) -> io::Result<()> {
    // A pipe or a device has no length to set.
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    file.write_all(bytes)?;
    file.flush()
}
