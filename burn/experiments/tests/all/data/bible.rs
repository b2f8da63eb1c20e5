use super::{message, write};
use experiments::data::bible::{Bible, KING_JAMES};

const TEXT: &str = "Ge1:1 In the beginning, God.\nGe1:2 And the God's waters-side;\n1Sam3:10 The LORD (spake)!\n\
                    2Jn1:13 Amen the unseen.\n";
const SMALL: Bible = Bible { verses: Some(4), words: 8, of: 4 };

#[test]
fn verses_become_words() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "kjv.txt", TEXT);
    let corpus = SMALL.read(&folder.path().join("kjv.txt")).expect("a corpus");
    let words = |part: &[u32]| {
        part.iter()
            .map(|&number| corpus.vocabulary.word(number).unwrap_or_default())
            .collect::<Vec<_>>()
            .join(" ")
    };
    // Eight words: the two special ones, `the`, and of the others, once each, the first five, marks before letters.
    assert_eq!(words(&corpus.train), "<unk> the beginning , <unk> . <eos> and the <unk> <unk> ; <eos>");
    assert_eq!(words(&corpus.valid), "the <unk> <unk> <unk> <unk> <unk> <eos>");
    assert_eq!(words(&corpus.test), "<unk> the <unk> . <eos>");
}

#[test]
fn apostrophes_and_hyphens_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "kjv.txt", TEXT);
    let all = Bible { words: 100, ..SMALL };
    let corpus = all.read(&folder.path().join("kjv.txt")).expect("a corpus");
    assert!(corpus.vocabulary.get("god's").is_some() && corpus.vocabulary.get("waters-side").is_some());
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for length in 0..TEXT.len() {
        write(folder.path(), "kjv.txt", &TEXT[..length]);
        message(SMALL.read(&folder.path().join("kjv.txt")), "kjv.txt");
    }
}

#[test]
fn foreign_files_are_told() {
    let cases = [
        ("In the beginning\n", "line 1 (`In the beginning`) does not begin as"),
        ("Ge1:1 In\nGe1: And\n", "line 2"),
        ("Ge1:1 In\n1:2 And\n", "line 2"),
        ("Ge1:1 In\n", "4 verses were expected, and it holds 1"),
    ];
    for (text, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "kjv.txt", text);
        let text = message(SMALL.read(&folder.path().join("kjv.txt")), "kjv.txt");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn too_few_verses_and_no_file_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    message(KING_JAMES.read(&folder.path().join("kjv.txt")), "kjv.txt");
    write(folder.path(), "kjv.txt", TEXT);
    let few = Bible { of: 20, ..SMALL };
    let text = few.read(&folder.path().join("kjv.txt")).expect_err("an error").to_string();
    assert!(text.contains("at least 20 verses, and there are 4"), "{text}");
}
