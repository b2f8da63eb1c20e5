//! The program `scale`.

use std::process::{Command, Output};

use serde_json::Value;

use crate::launch::{example, is_worker, mpirun, run, text};

/// Few steps of the logistic regression, which takes longest.
const SHORT: [&str; 4] = ["--steps", "8", "--batch", "1"];

fn scale(words: &[&str]) -> Output {
    run(Command::new(example("scale")).args(words))
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

// Finds: a part of the output that is not there, and a picture that is none.
#[test]
fn scale_prints_tables_and_sentences_and_draws_a_picture() {
    if is_worker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("scale.png");
    let output = scale(&[&SHORT[..], &["--period", "4", "--plot", picture.to_str().unwrap()]].concat());
    let table = text(&output);
    assert!(output.status.success(), "{table}");
    for part in [
        "workers",
        "messages",
        "   4096 ",
        "Loss on the quadratic: 8 steps",
        "H = 256",
        "Logistic regression, loss above the minimum's",
        "What breaks first",
        "along a tree",
    ] {
        assert!(table.contains(part), "no {part} in:\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let bytes = std::fs::read(&picture).unwrap();
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 10_000);
    let help = text(&scale(&["--help"]));
    assert!(help.contains("Examples:") && help.contains("--measure"), "{help}");
}

// Finds: numbers that hang on anything but the command line.
#[test]
fn scale_gives_programs_the_same_numbers_for_the_same_seed() {
    if is_worker() {
        return;
    }
    let words = [&SHORT[..], &["--json", "--wire", "int8", "--fragments", "2", "--overlap", "3"]].concat();
    let first = json(&scale(&words));
    assert_eq!(first, json(&scale(&words)));
    assert_eq!(first["rows"].as_array().unwrap().len(), 13);
    assert_eq!(first["rows"][12]["workers"], 4096);
    assert_eq!(first["settings"]["schedule"]["wire"], "int8");
    assert_eq!(first["logistic"].as_array().unwrap().len(), 35);
    assert!(first["findings"].as_array().unwrap().iter().all(|finding| finding["text"].is_string()));
    let other = json(&scale(&[&words[..], &["--seed", "2"]].concat()));
    assert_ne!(first["logistic"], other["logistic"]);
    assert_eq!(first["quadratic"], other["quadratic"]);
    let without = json(&scale(&["--json", "--no-logistic"]));
    assert!(without["logistic"].as_array().unwrap().is_empty());
}

// Finds: a setting that cannot be and is planned with all the same.
#[test]
fn scale_refuses_impossible_settings() {
    if is_worker() {
        return;
    }
    for (words, expected) in [
        (["--fragments", "4", "--overlap", "4"], "error: with --overlap 4 an exchange would not be over"),
        (["--period", "2", "--fragments", "3"], "give --fragments 2 or fewer"),
        (["--lr", "2", "--period", "2"], "error: --lr 2 does not converge"),
        (["--plot", "/nowhere/at/all.png", "--period", "2"], "error: "),
        (["--measure", "--plot", "a.png", "--json"], "cannot be used with"),
    ] {
        let output = scale(&words);
        let text = text(&output);
        assert!(!output.status.success() && text.contains(expected), "{words:?}: {text}");
    }
}

// Finds: bytes that the program reckons and the library does not send, and arguments that it prints and does not take.
#[test]
fn scale_measures_and_takes_what_it_prints() {
    if is_worker() {
        return;
    }
    // 153 blocks, of which each of three ranks has 51.
    let measure = ["--measure", "--weights", "19584"];
    let costs = json(&run(mpirun(3).arg(example("scale")).args(measure).arg("--json")));
    assert_eq!((&costs["ranks"], &costs["round"]["sent"]), (&Value::from(3), &costs["round"]["bytes"]));
    assert_eq!(costs["round"]["sent"], 153 * 512 * 4 / 3);
    assert!(costs["step"].as_f64().unwrap() > 0.0);
    let alone = scale(&measure);
    let printed = text(&alone);
    let line =
        printed.lines().find(|line| line.starts_with("--weights")).unwrap_or_else(|| panic!("{printed}"));
    let words: Vec<_> = line.split(' ').chain(["--no-logistic", "--json"]).collect();
    let planned = json(&scale(&words));
    assert_eq!(planned["settings"]["schedule"]["weights"], 19584);
    assert!(planned["rows"][0]["packing"].as_f64().unwrap() > 0.0);
}
