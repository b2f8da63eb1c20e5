//! Finds the four IDX files of a data set: in a folder, in one of torchvision's layout (`DIR/MNIST/raw`), or of
//! several in one folder that differ in how their names begin (EMNIST: `DIR/emnist-digits`).

use crate::data::{DataError, Dataset, Source};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

const TRAIN_IMAGES: &str = "train-images";
/// Between a stem and its kind.
const SEPARATORS: [&str; 2] = ["-", "."];
const PACKED: [&str; 2] = ["", ".gz"];
/// Folders that name no data set; the one that they are in does.
const NAMELESS: [&str; 2] = ["raw", "gzip"];
/// Folders in each other that are looked into.
const DEPTH: u32 = 2;

/// The files of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Files {
    /// The data set's name.
    pub name: String,
    /// Images and labels to train on, images and labels to test on.
    pub paths: [PathBuf; 4],
}

/// Finds the files that a path stands for: the folder with them, one that it is in, or the folder and how their
/// names begin.
pub fn find(given: &Path) -> Result<Files, DataError> {
    let no_folder = |reason: String| DataError::NoFolder { folder: given.display().to_string(), reason };
    let metadata = match given.metadata() {
        Ok(metadata) => metadata,
        Err(problem) => {
            return match given.parent().zip(given.file_name()) {
                Some((folder, name)) if problem.kind() == io::ErrorKind::NotFound => {
                    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                    let prefix = format!("{}-", name.to_string_lossy());
                    let is_there = prefixes(folder).is_ok_and(|found| found.contains(&prefix));
                    if is_there { files(folder, &prefix) } else { Err(no_folder(problem.to_string())) }
                }
                _ => Err(no_folder(problem.to_string())),
            };
        }
    };
    if !metadata.is_dir() {
        return Err(no_folder("it is a file".to_owned()));
    }
    let found = prefixes(given).map_err(|problem| no_folder(problem.to_string()))?;
    if !found.is_empty() {
        return choose(given, &found);
    }
    let mut below = Vec::new();
    search(given, DEPTH, &mut below);
    match below.as_slice() {
        [] => files(given, ""),
        [(folder, found)] => choose(folder, found),
        _ => Err(several(given, below.iter().flat_map(|(folder, found)| choices(folder, found)))),
    }
}

/// The one data set of a folder.
fn choose(folder: &Path, prefixes: &[String]) -> Result<Files, DataError> {
    match prefixes {
        // The plain names come first.
        [prefix, ..] if prefix.is_empty() => files(folder, ""),
        [prefix] => files(folder, prefix),
        _ => Err(several(folder, choices(folder, prefixes))),
    }
}

fn several(folder: &Path, choices: impl IntoIterator<Item = String>) -> DataError {
    DataError::Several { folder: folder.display().to_string(), choices: choices.into_iter().collect() }
}

/// What to give for each data set of a folder.
fn choices(folder: &Path, prefixes: &[String]) -> Vec<String> {
    let choice = |prefix: &String| match prefix.strip_suffix('-') {
        Some(name) => folder.join(name).display().to_string(),
        None => folder.display().to_string(),
    };
    prefixes.iter().map(choice).collect()
}

/// How the names of the files to train on begin in a folder, in order; nothing, where they are the plain ones.
fn prefixes(folder: &Path) -> io::Result<Vec<String>> {
    let ends = names("", TRAIN_IMAGES, "idx3");
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let prefix = ends.iter().find_map(|end| name.strip_suffix(end.as_str()));
        let is_whole = |prefix: &&str| prefix.is_empty() || prefix.ends_with('-');
        found.extend(prefix.filter(is_whole).map(ToOwned::to_owned));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Adds the folders below one, so deep, that have data sets.
fn search(folder: &Path, depth: u32, found: &mut Vec<(PathBuf, Vec<String>)>) {
    // What cannot be looked into has nothing to offer.
    let Ok(entries) = folder.read_dir() else { return };
    let mut folders: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    for folder in folders {
        match prefixes(&folder) {
            Ok(prefixes) if !prefixes.is_empty() => found.push((folder, prefixes)),
            _ if depth > 1 => search(&folder, depth - 1, found),
            _ => {}
        }
    }
}

/// The four files whose names begin so.
fn files(folder: &Path, prefix: &str) -> Result<Files, DataError> {
    // MNIST's and EMNIST's word, each with its own kind of names first.
    let tests = if prefix.is_empty() { ["t10k", "test"] } else { ["test", "t10k"] };
    let test = |what: &str| tests.map(|word| format!("{word}-{what}"));
    let find = |stems: &[String], kind: &str| {
        let all: Vec<_> = stems.iter().map(|stem| names(prefix, stem, kind)).collect();
        let paths = all.iter().flatten().map(|name| folder.join(name)).find(|path| path.is_file());
        paths.ok_or_else(|| DataError::Missing {
            folder: folder.display().to_string(),
            names: all.into_iter().next().unwrap_or_default(),
        })
    };
    let paths = [
        find(&[TRAIN_IMAGES.to_owned()], "idx3")?,
        find(&["train-labels".to_owned()], "idx1")?,
        find(&test("images"), "idx3")?,
        find(&test("labels"), "idx1")?,
    ];
    Ok(Files { name: name(folder, prefix), paths })
}

/// A file's spellings.
fn names(prefix: &str, stem: &str, kind: &str) -> Vec<String> {
    SEPARATORS
        .map(|separator| PACKED.map(|packed| format!("{prefix}{stem}{separator}{kind}-ubyte{packed}")))
        .concat()
}

/// A data set's name.
fn name(folder: &Path, prefix: &str) -> String {
    if let Some(name) = prefix.strip_suffix('-') {
        return name.to_owned();
    }
    let is_nameless = folder.file_name().is_some_and(|name| NAMELESS.iter().any(|other| name == *other));
    let named = folder.parent().filter(|_| is_nameless).and_then(Path::file_name).or(folder.file_name());
    named.map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned())
}

impl Files {
    /// Reads them, plain or packed by gzip.
    pub fn read(&self) -> Result<Dataset, DataError> {
        let [a, b, c, d] = self.paths.each_ref().map(|path| open(path));
        Dataset::from_idx(&self.name, [a?, b?, c?, d?])
    }
}

fn open(path: &Path) -> Result<Source<File>, DataError> {
    let file = path.display().to_string();
    let unreadable =
        |problem: io::Error| DataError::Unreadable { file: file.clone(), reason: problem.to_string() };
    let reader = File::open(path).map_err(unreadable)?;
    let bytes = reader.metadata().map_err(unreadable)?.len();
    Ok(Source { file, reader, bytes })
}
