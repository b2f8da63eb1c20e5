//! Finds the four IDX files of a data set in a folder.

use super::data::{DataError, Dataset, Source};
use std::fs::File;
use std::path::Path;

const STEMS: [(&str, &str); 4] =
    [("train-images", "idx3"), ("train-labels", "idx1"), ("t10k-images", "idx3"), ("t10k-labels", "idx1")];

/// Reads a folder of MNIST-style files, plain or packed by gzip.
pub fn read(folder: &Path) -> Result<Dataset, DataError> {
    let shown = folder.display().to_string();
    let no_folder = |reason: String| DataError::NoFolder { folder: shown.clone(), reason };
    let metadata = folder.metadata().map_err(|problem| no_folder(problem.to_string()))?;
    if !metadata.is_dir() {
        return Err(no_folder("it is a file".to_owned()));
    }
    let [a, b, c, d] = STEMS.map(|(stem, kind)| open(folder, stem, kind));
    let name = folder.file_name().map_or(shown, |name| name.to_string_lossy().into_owned());
    Dataset::from_idx(&name, [a?, b?, c?, d?])
}

/// Opens the first of a file's spellings that is there.
fn open(folder: &Path, stem: &str, kind: &str) -> Result<Source<File>, DataError> {
    let names = ["-", "."]
        .map(|separator| ["", ".gz"].map(|packed| format!("{stem}{separator}{kind}-ubyte{packed}")))
        .concat();
    let Some(path) = names.iter().map(|name| folder.join(name)).find(|path| path.is_file()) else {
        return Err(DataError::Missing { folder: folder.display().to_string(), names });
    };
    let file = path.display().to_string();
    let unreadable =
        |problem: std::io::Error| DataError::Unreadable { file: file.clone(), reason: problem.to_string() };
    let reader = File::open(&path).map_err(unreadable)?;
    let bytes = reader.metadata().map_err(unreadable)?.len();
    let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
    Ok(Source { file, reader, bytes, is_gzip })
}
