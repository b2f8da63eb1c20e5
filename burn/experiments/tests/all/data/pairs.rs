use super::{message, write};
use experiments::data::DataError;
use experiments::data::pairs::{Pair, Pairs};
use std::path::Path;

const SOURCE: &str = "A cat.\n\nTwo dogs.\n";
const TARGET: &str = "Eine Katze.\nNichts.\nZwei Hunde.\n";

fn read(folder: &Path) -> Result<Vec<Pair>, DataError> {
    Pairs::open(&folder.join("train.en"), &folder.join("train.de"))?.collect()
}

fn small(folder: &Path) {
    write(folder, "train.en", SOURCE);
    write(folder, "train.de", TARGET);
}

#[test]
fn lines_of_the_same_number_are_pairs() {
    let folder = tempfile::tempdir().expect("a folder");
    small(folder.path());
    let pair = |source: &str, target: &str| Pair { source: source.to_owned(), target: target.to_owned() };
    let pairs = read(folder.path()).expect("pairs");
    assert_eq!(pairs, [pair("A cat.", "Eine Katze."), pair("Two dogs.", "Zwei Hunde.")]);
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for (name, whole) in [("train.en", SOURCE), ("train.de", TARGET)] {
        for length in 0..whole.len() {
            let folder = tempfile::tempdir().expect("a folder");
            small(folder.path());
            write(folder.path(), name, &whole[..length]);
            let text = message(read(folder.path()), name);
            let is_line_end = length == 0 || whole[..length].ends_with('\n');
            assert_eq!(text.contains("do not belong together"), is_line_end, "{text}");
            assert_eq!(text.contains("in the middle of line"), !is_line_end, "{text}");
        }
    }
}

#[test]
fn the_longer_file_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    small(folder.path());
    write(folder.path(), "train.en", "A cat.\n");
    let text = message(read(folder.path()), "train.en");
    assert!(text.contains("1 lines") && text.contains("more than 1 lines"), "{text}");
}

#[test]
fn foreign_files_are_told() {
    let cases: [(&[u8], &str); 3] = [
        (&[0x1f, 0x8b, 8, 0], "unpack it"),
        (b"A cat.\ncaf\xe9\nTwo dogs.\n", "line 2 is not UTF-8"),
        (b"<!DOCTYPE html>\n", "web page"),
    ];
    for (bytes, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        small(folder.path());
        write(folder.path(), "train.en", bytes);
        let text = message(read(folder.path()), "train.en");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn missing_and_empty_files_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    message(read(folder.path()), "train.en");
    write(folder.path(), "train.en", "");
    message(read(folder.path()), "train.de");
    write(folder.path(), "train.de", "");
    assert!(message(read(folder.path()), "train.en").contains("no lines"));
}

#[test]
fn nothing_comes_after_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    small(folder.path());
    write(folder.path(), "train.de", "Eine");
    let pairs = Pairs::open(&folder.path().join("train.en"), &folder.path().join("train.de")).expect("files");
    assert_eq!(pairs.take(5).count(), 1);
}
