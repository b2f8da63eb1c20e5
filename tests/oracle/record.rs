//! Recorded files: one line a case, its name and the hashes of its parts.

use std::{
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

/// Fails with the first lines that differ.
#[track_caller]
pub fn compare(path: &Path, recorded: &[String], found: &[String]) {
    let gone = recorded.iter().filter(|line| !found.contains(line)).map(|line| format!("- {line}"));
    let new = found.iter().filter(|line| !recorded.contains(line)).map(|line| format!("+ {line}"));
    let mut differences: Vec<_> = gone.chain(new).collect();
    if differences.is_empty() && recorded != found {
        differences.push("the same lines in another order, or another number of times".to_owned());
    }
    if differences.is_empty() {
        return;
    }
    // A case's old line beside its new one.
    differences.sort_by(|a, b| a[1..].split(' ').nth(1).cmp(&b[1..].split(' ').nth(1)));
    let count = differences.len();
    differences.truncate(12);
    panic!(
        "{} is not what is done now; {count} lines differ (- recorded, + found), first:\n{}\n\
         LOOKAHEAD_TRACES=folder writes the whole texts: `diff -r` them with those of another checkout. \
         Where the change is meant, LOOKAHEAD_RECORD=1 records it.",
        path.display(),
        differences.join("\n")
    );
}
