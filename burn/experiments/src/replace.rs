//! Files that are there whole, or as they were before.

use std::io::{self, Write};
use std::path::Path;

/// Writes a file in place of the one that is there, and makes its folder where there is none. It is on the disk before
/// it has its name. No other process may be writing it.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder(path);
    std::fs::create_dir_all(folder)?;
    forget(path)?;
    let prefix = prefix(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX);
    // As other files have them: those of temporary files are for their owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Removes what a process left behind that was killed while it wrote a file.
pub fn forget(path: &Path) -> io::Result<()> {
    let prefix = prefix(path);
    for entry in std::fs::read_dir(folder(path))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&prefix) && name.ends_with(SUFFIX) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

const SUFFIX: &str = ".tmp";

/// What the names of a file begin with while it is written.
fn prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
