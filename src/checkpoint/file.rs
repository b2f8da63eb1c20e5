//! Files that are whole or not there.

use std::{
    borrow::Cow,
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    path::Path,
};

use super::{container, format};
use crate::{error::Error, snapshot::Snapshot};

impl Snapshot {
    /// Writes a checkpoint. An existing one stays as it was until the new one is whole on the disk, and then is
    /// replaced at once, with its mode (and owner, where that is allowed) kept: bytes go to a temporary file in the same
    /// folder, which is flushed and renamed. Where that fails the temporary file is removed.
    ///
    /// What is replaced is a checkpoint or an empty file, never anything else: see [`save_over`](Self::save_over). A
    /// symbolic link stays, and the file that it leads to is replaced. Other hard links keep the old file.
    ///
    /// The folder's entry is flushed, too. Where the system does not let that happen the file is there all the same, if
    /// perhaps not after a power cut: a warning in the log says so, and this is no error.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] where something else is there: a file of another kind, a folder, a device, a link to
    /// nothing. [`Error::File`], and what [`to_bytes`](Self::to_bytes) gives.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write(path.as_ref(), &self.to_bytes()?, Kind::Checkpoint)
    }

    /// [`save`](Self::save), over a regular file of any kind.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    pub fn save_over(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write(path.as_ref(), &self.to_bytes()?, Kind::Any)
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// [`Error::File`]; [`Error::Checkpoint`] where the file is no checkpoint, or was damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let named = |problem| Error::Checkpoint { file: named(path), problem };
        format::decode(&read(path)?).map_err(named)
    }
}

/// A file in error messages.
pub fn named(path: &Path) -> String {
    format!("the file `{}`", path.display())
}

/// The whole of a safetensors file, which must be one and not a device or pipe without an end. The header is
/// checked against the file's length before memory is taken for the values.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed =
        |problem: String| Error::File { doing: "reading", path: path.display().to_string(), problem };
    let refused = |problem: std::io::Error| failed(problem.to_string());
    let wrong = |problem| Error::Checkpoint { file: named(path), problem };
    if !fs::metadata(path).map_err(refused)?.is_file() {
        return Err(failed("it is not a regular file".to_owned()));
    }
    let mut file = File::open(path).map_err(refused)?;
    let len = file.metadata().map_err(refused)?.len();
    let mut bytes = Vec::new();
    let mut read_to = |bytes: &mut Vec<u8>, end: u64| {
        let more = end - bytes.len() as u64;
        let fits = usize::try_from(more).ok().filter(|more| bytes.try_reserve_exact(*more).is_ok());
        if fits.is_none() {
            return Err(failed(format!("its {len} bytes do not fit in memory")));
        }
        (&mut file).take(more).read_to_end(bytes).map_err(refused)?;
        if (bytes.len() as u64) < end {
            return Err(failed(format!(
                "it became shorter while it was read, {} of {len} bytes",
                bytes.len()
            )));
        }
        Ok(())
    };
    read_to(&mut bytes, len.min(container::PREFIX as u64))?;
    let head = container::head(&bytes, len).map_err(wrong)?;
    read_to(&mut bytes, head as u64)?;
    container::check(&bytes, len).map_err(wrong)?;
    read_to(&mut bytes, len)?;
    Ok(bytes)
}

/// What a save may replace, besides empty files.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Checkpoint,
    /// A safetensors file that is no checkpoint.
    Weights,
    /// Any regular file.
    Any,
}

/// Replaces a file at once.
pub fn write(path: &Path, bytes: &[u8], kind: Kind) -> Result<(), Error> {
    let failed = |problem: io::Error| Error::File {
        doing: "writing",
        path: path.display().to_string(),
        problem: problem.to_string(),
    };
    let replaced = replaced(path, kind, failed)?;
    let target = match &replaced {
        // A link stays where it is.
        Some(_) if is_link(path) => Cow::Owned(fs::canonicalize(path).map_err(failed)?),
        _ => Cow::Borrowed(path),
    };
    replace(&target, bytes, replaced.as_ref()).map_err(failed)
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// The file that is there, if it may be replaced.
fn replaced(path: &Path, kind: Kind, failed: impl Fn(io::Error) -> Error) -> Result<Option<Metadata>, Error> {
    let occupied = |found: String| Error::Occupied { path: path.display().to_string(), found };
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(_) if is_link(path) => return Err(occupied("a symbolic link that leads nowhere".to_owned())),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(problem) => return Err(failed(problem)),
    };
    if !found.is_file() {
        return Err(occupied(described(found.file_type()).to_owned()));
    }
    if kind == Kind::Any || found.len() == 0 {
        return Ok(Some(found));
    }
    match (kind, is_checkpoint(path, found.len())) {
        (Kind::Checkpoint, Ok(true)) | (Kind::Weights, Ok(false)) => Ok(Some(found)),
        (Kind::Checkpoint, Ok(false)) => Err(occupied("a safetensors file that is no checkpoint".to_owned())),
        (_, Ok(_)) => Err(occupied("a checkpoint, with more than weights".to_owned())),
        (_, Err(problem)) => Err(occupied(format!("a file of another kind: it {problem}"))),
    }
}

/// Whether a safetensors file of `len` bytes is a checkpoint. Its header alone is read.
fn is_checkpoint(path: &Path, len: u64) -> Result<bool, String> {
    let cannot = |problem: io::Error| format!("cannot be read: {problem}");
    let mut file = File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    (&mut file).take(container::PREFIX as u64).read_to_end(&mut bytes).map_err(cannot)?;
    let rest = container::head(&bytes, len)? - bytes.len();
    file.take(rest as u64).read_to_end(&mut bytes).map_err(cannot)?;
    Ok(container::check(&bytes, len)?.metadata.contains_key(format::KEY))
}

#[cfg(unix)]
fn described(file: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match file {
        _ if file.is_dir() => "a folder",
        _ if file.is_char_device() || file.is_block_device() => "a device",
        _ if file.is_fifo() => "a pipe",
        _ if file.is_socket() => "a socket",
        _ => "no regular file",
    }
}

#[cfg(not(unix))]
fn described(file: fs::FileType) -> &'static str {
    if file.is_dir() { "a folder" } else { "no regular file" }
}

/// `old`: the file that is there.
fn replace(path: &Path, bytes: &[u8], old: Option<&Metadata>) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has no file name"));
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    // A new file is as readable as `File::create` would make it: the umask takes from it. One that replaces another is
    // readable for nobody else until it has the other's mode.
    #[cfg(unix)]
    if old.is_none() {
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    if let Some(old) = old {
        use std::os::unix::fs::{MetadataExt, fchown};
        // Only root may give a file away. The mode comes after it, since a change of owner takes from it.
        if let Err(problem) = fchown(file.as_file(), Some(old.uid()), Some(old.gid())) {
            log::debug!("the owner of `{}` changes: {problem}", path.display());
        }
        file.as_file().set_permissions(old.permissions())?;
    }
    #[cfg(not(unix))]
    let _ = old;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|problem| problem.error)?;
    // The name, too, should survive a power cut; but the file is there.
    #[cfg(unix)]
    if let Err(problem) = File::open(folder).and_then(|folder| folder.sync_all()) {
        let (path, folder) = (path.display(), folder.display());
        log::warn!(
            "`{path}` is written, but may be lost in a power cut: `{folder}` cannot be flushed: {problem}"
        );
    }
    Ok(())
}
