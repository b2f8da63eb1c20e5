//! Every example of the library runs, and ends as its page says. `cargo test` builds them before it runs this; where
//! it is told of this test alone, they are those of the last `cargo build --examples`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of `examples/` that are examples of this package.
fn names() -> Vec<String> {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path()).filter(|path| path.join("main.rs").is_file());
    folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// `target/debug/examples/NAME`, beside `target/debug/deps` with this test in it.
fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    tests.parent().unwrap().with_file_name("examples").join(name)
}

#[track_caller]
fn run(name: &str) -> String {
    let path = program(name);
    assert!(path.is_file(), "{} is missing; `cargo build --examples` makes it", path.display());
    let output = Command::new(path).output().unwrap();
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{name}: {errors}");
    assert!(!out.is_empty(), "{name} prints nothing");
    out
}

/// The loss in the last line that has one.
fn last_loss(text: &str) -> f64 {
    let line = text.lines().rfind(|line| line.contains("loss ")).unwrap();
    let loss = line.split("loss ").nth(1).unwrap();
    loss.split(|character: char| character == ',' || character.is_whitespace())
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn every_example_runs() {
    let names = names();
    for name in ["borrowed", "checkpoint", "custom_rule", "custom_transform", "quadratic"] {
        assert!(names.iter().any(|other| other == name), "{name} is not among {names:?}");
    }
    names.iter().for_each(|name| drop(run(name)));
}

#[test]
fn those_that_train_come_near_the_minimum() {
    for name in ["borrowed", "quadratic"] {
        let text = run(name);
        assert!(last_loss(&text) < 1e-3, "{name}: {text}");
    }
}

#[test]
fn a_run_that_was_stopped_ends_with_the_bits_of_one_that_was_not() {
    let text = run("checkpoint");
    assert_eq!(text.matches("256 of 256 values have the same bits").count(), 2, "{text}");
}
