//! Files that are whole or not there.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
};

use super::{container, format};
use crate::{error::Error, snapshot::Snapshot};

impl Snapshot {
    /// Writes a checkpoint. An existing file stays as it was until the new one is whole on the disk, and then is
    /// replaced at once: bytes go to a temporary file in the same folder, which is flushed and renamed. Where that
    /// fails the temporary file is removed. A symbolic link is replaced, not followed.
    ///
    /// # Errors
    ///
    /// [`Error::File`], and what [`to_bytes`](Self::to_bytes) gives.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write(path.as_ref(), &self.to_bytes()?)
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

/// Replaces a file at once.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, bytes).map_err(|problem| Error::File {
        doing: "writing",
        path: path.display().to_string(),
        problem: problem.to_string(),
    })
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it has no file name"));
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    // As `File::create` would: the umask takes from it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|problem| problem.error)?;
    // The name, too, must survive a power cut.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}
