use super::{message, write};
use experiments::data::penn::{Format, PENN_TREEBANK};
use std::path::Path;

const SMALL: Format = Format { tokens: Some([9, 3, 3]), ..PENN_TREEBANK };
const TRAIN: &str = " the cat <unk> \n the dog sat N \n";

fn small(folder: &Path) {
    write(folder, "ptb.train.txt", TRAIN);
    write(folder, "ptb.valid.txt", " the dog \n");
    write(folder, "ptb.test.txt", " a cat \n");
}

#[test]
fn words_are_numbered_as_they_come() {
    let folder = tempfile::tempdir().expect("a folder");
    small(folder.path());
    let corpus = SMALL.read(folder.path()).expect("a corpus");
    assert_eq!(corpus.train, [0, 1, 2, 3, 0, 4, 5, 6, 3]);
    assert_eq!((corpus.valid, corpus.test), (vec![0, 4, 3], vec![7, 1, 3]));
    assert_eq!(corpus.vocabulary.word(3), Some("<eos>"));
    assert_eq!(corpus.vocabulary.get("<unk>"), Some(2));
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    // Two bytes at the end, a space and the line's, hold nothing: without the space all is there.
    for length in 0..TRAIN.len() {
        let folder = tempfile::tempdir().expect("a folder");
        small(folder.path());
        write(folder.path(), "ptb.train.txt", &TRAIN[..length]);
        let text = message(SMALL.read(folder.path()), "ptb.train.txt");
        assert!(text.contains("cut short") || text.contains("holds no text"), "{length}: {text}");
    }
}

#[test]
fn foreign_files_are_told() {
    let cases: [(&[u8], &str); 4] = [
        (&[0x1f, 0x8b, 8, 0], "unpack it"),
        (b"caf\xe9\n", "byte 3 is not UTF-8"),
        (b" the dog \n the dog \n", "goes on after the 3 tokens"),
        (b" dog \n", "3 tokens were expected, and it holds 2"),
    ];
    for (bytes, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        small(folder.path());
        write(folder.path(), "ptb.valid.txt", bytes);
        let text = message(SMALL.read(folder.path()), "ptb.valid.txt");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn missing_files_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "ptb.train.txt", TRAIN);
    let text = message(SMALL.read(folder.path()), "ptb.valid.txt");
    assert!(text.contains("put `ptb.train.txt`, `ptb.valid.txt`, `ptb.test.txt` there"), "{text}");
}
