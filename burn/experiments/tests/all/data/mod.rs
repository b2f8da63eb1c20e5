//! Readers, on small files of the formats.

mod bible;
mod cifar;
mod help;
mod idx;
mod imagenet;
mod pairs;
mod penn;
mod picture;
mod real;
mod split;
mod stream;
mod subwords;
mod tokens;
mod vocabulary;

use std::fs;
use std::path::Path;

/// Writes a file, and the folders that it is in.
fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(path, bytes).expect("a file");
}

/// What the error says, which must name the file.
fn message<T: std::fmt::Debug, E: std::fmt::Display>(result: Result<T, E>, file: &str) -> String {
    let text = result.expect_err("an error").to_string();
    assert!(text.contains(file), "`{text}` does not name `{file}`");
    text
}
