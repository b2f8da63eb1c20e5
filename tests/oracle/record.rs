//! Recorded files: one line a case, its name and the hashes of its parts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// The recorded files' folder.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle")
}

/// Whether files are to be written instead of compared.
pub fn is_recording() -> bool {
    std::env::var_os("LOOKAHEAD_RECORD").is_some_and(|value| value != "0")
}

/// A short hash: what is compared changes by mistake, not by malice.
pub fn hash(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

/// Writes a case's whole text to the folder of `LOOKAHEAD_TRACES`, if there is one.
pub fn trace(kind: &str, name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("LOOKAHEAD_TRACES") {
        let folder = Path::new(&folder).join(kind);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{}.txt", name.replace(['/', ' '], "_"))), text).unwrap();
    }
}

/// What was found of one recorded file.
pub struct Record {
    file: &'static str,
    lines: Vec<String>,
}

impl Record {
    /// Of `tests/oracle/<file>.txt`.
    pub fn new(file: &'static str) -> Self {
        Self { file, lines: vec![] }
    }

    /// Adds a case. Its whole text goes to the folder of `LOOKAHEAD_TRACES`.
    pub fn case<'a>(&mut self, name: &str, parts: impl IntoIterator<Item = &'a str>) {
        let parts: Vec<_> = parts.into_iter().collect();
        let mut line = name.replace(' ', "_");
        for part in &parts {
            write!(line, " {}", hash(part.as_bytes())).unwrap();
        }
        self.lines.push(line);
        trace(self.file, name, &parts.concat());
    }

    /// Compares with the recorded file, or writes it.
    #[track_caller]
    pub fn finish(self) {
        let path = folder().join(self.file).with_extension("txt");
        if is_recording() {
            std::fs::write(&path, self.lines.join("\n") + "\n").unwrap();
            eprintln!("recorded {} cases in {}", self.lines.len(), path.display());
            return;
        }
        let recorded = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; LOOKAHEAD_RECORD=1 writes it", path.display()));
        let recorded: Vec<_> = recorded.lines().map(str::to_owned).collect();
        compare(&path, &recorded, &self.lines);
    }
}

/// Fails with the first cases that differ, and where.
#[track_caller]
pub fn compare(path: &Path, recorded: &[String], found: &[String]) {
    if recorded == found {
        return;
    }
    let cases = |lines: &[String]| -> BTreeMap<String, Vec<String>> {
        let parts = lines.iter().map(|line| line.split(' ').map(str::to_owned));
        parts.filter_map(|mut parts| Some((parts.next()?, parts.collect()))).collect()
    };
    let (recorded, found) = (cases(recorded), cases(found));
    let names: BTreeSet<_> = recorded.keys().chain(found.keys()).collect();
    let difference = |name: &String| match (recorded.get(name), found.get(name)) {
        (Some(_), None) => Some(format!("{name} is recorded, and not there")),
        (None, Some(_)) => Some(format!("{name} is there, and not recorded")),
        (Some(due), Some(found)) if due.len() != found.len() => {
            Some(format!("{name} has {} parts, not {}", found.len(), due.len()))
        }
        (Some(due), Some(found)) => {
            let parts: Vec<_> = (0..due.len()).filter(|part| due[*part] != found[*part]).collect();
            (!parts.is_empty()).then(|| format!("{name} differs in its parts {parts:?} of {}", due.len()))
        }
        (None, None) => None,
    };
    let differences: Vec<_> = names.into_iter().filter_map(difference).collect();
    panic!(
        "{} is not what is done now; {} cases differ, or their order, first:\n{}\n\
         LOOKAHEAD_TRACES=folder writes the whole texts, part by part: `diff -r` them with those of another checkout. \
         Where the change is meant, LOOKAHEAD_RECORD=1 records it.",
        path.display(),
        differences.len(),
        differences[..differences.len().min(12)].join("\n")
    );
}
