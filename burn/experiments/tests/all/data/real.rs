//! The readers on whole data sets that Debian packages. `EXPERIMENTS_ROOT` is where the packages were unpacked, if
//! not `/`. They are run with
//!
//! ```text
//! apt install dataset-fashion-mnist bible-kjv libreoffice-help-en-us libreoffice-help-de
//! cargo test -- --ignored
//! ```

use experiments::data::stream::Stream;
use experiments::data::{bible::KING_JAMES, help, idx};
use std::path::PathBuf;
use std::process::Command;

fn at(path: &str) -> PathBuf {
    PathBuf::from(std::env::var("EXPERIMENTS_ROOT").unwrap_or("/".to_owned())).join(path)
}

#[test]
#[ignore = "takes Debian's dataset-fashion-mnist"]
fn fashion_mnist_is_read() {
    let set = idx::read(&at("usr/share/datasets/fashion-mnist")).expect("a data set");
    assert_eq!((set.shape, set.train.len(), set.test.len()), ([1, 28, 28], 60_000, 10_000));
    let per_class = |class: u8| set.train.labels.iter().filter(|&&label| label == class).count();
    assert!((0..10).all(|class| per_class(class) == 6_000));
    // What is published for it: 0.2860 and 0.3530.
    let (mean, deviation) = set.moments()[0];
    assert!((mean - 0.2860).abs() < 1e-4 && (deviation - 0.3530).abs() < 1e-4, "{mean} {deviation}");
}

#[test]
#[ignore = "takes Debian's bible-kjv"]
fn the_king_james_bible_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = Command::new(at("usr/bin/bible"))
        .arg("-p")
        .arg(at("usr/lib"))
        .args(["-f", "Gen1:1-Rev22:21"])
        .output()
        .expect("the program");
    let file = folder.path().join("kjv.txt");
    std::fs::write(&file, printed.stdout).expect("a file");
    let corpus = KING_JAMES.read(&file).expect("a corpus");
    println!(
        "{} words; {}, {} and {} tokens",
        corpus.vocabulary.len(),
        corpus.train.len(),
        corpus.valid.len(),
        corpus.test.len()
    );
    assert_eq!(corpus.vocabulary.len(), KING_JAMES.words);
    assert!(Stream::new(&corpus.train, 20).expect("a stream").windows(70).count() > 100);
    let end = corpus.vocabulary.get("<eos>").expect("a word");
    let parts = [&corpus.train, &corpus.valid, &corpus.test];
    assert_eq!(parts.iter().flat_map(|part| part.iter()).filter(|&&word| word == end).count(), 31_102);
}

#[test]
#[ignore = "takes Debian's libreoffice-help-en-us and libreoffice-help-de"]
fn libreoffices_help_is_read() {
    let [source, target] = ["en-US", "de"].map(|language| at("usr/share/libreoffice/help").join(language));
    let pairs = help::pairs(&source, &target).expect("pairs");
    let words: usize = pairs.iter().map(|pair| pair.source.split(' ').count()).sum();
    println!("{} pairs, {words} words", pairs.len());
    assert!(pairs.len() > 30_000);
    // Tags are gone; those that the help is about stay.
    assert!(pairs.iter().all(|pair| !pair.source.contains("<span") && !pair.target.contains("<span")));
}
