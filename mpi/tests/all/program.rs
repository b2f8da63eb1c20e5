//! The program `train_workers`.

use std::process::Output;

use serde_json::Value;

use crate::launch::{example, is_worker, mpirun, run, text};

fn train(ranks: usize, words: &[&str]) -> Output {
    run(mpirun(ranks).arg(example("train_workers")).args(words))
}

/// The last line as JSON.
fn summary(output: &Output) -> Value {
    let text = text(output);
    assert!(output.status.success(), "{text}");
    let line = text.lines().rev().find(|line| line.starts_with('{'));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no JSON in:\n{text}"))).unwrap()
}

#[test]
fn it_learns_and_the_same_seed_is_the_same_run() {
    if is_worker() {
        return;
    }
    let words = ["--epochs", "12", "--period", "8", "--outer", "nesterov", "--alpha", "0.7", "--json"];
    let first = summary(&train(2, &words));
    assert!(first["accuracy"].as_f64().unwrap() > 0.85, "{first}");
    assert_eq!(first["ranks"], 2);
    let second = summary(&train(2, &words));
    assert_eq!(first["hash"], second["hash"]);
    let gradients = summary(&train(2, &["--epochs", "4", "--mode", "gradients", "--json"]));
    assert!(gradients["accuracy"].as_f64().unwrap() > 0.8, "{gradients}");
    // Gradients go out in each step, weights once in eight of them.
    let bytes = |of: &Value, epochs: f64| of["bytes"].as_f64().unwrap() / epochs;
    assert!(bytes(&gradients, 4.0) > 6.0 * bytes(&first, 12.0), "{gradients} {first}");
}

#[test]
fn it_goes_on_from_a_folder() {
    if is_worker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A round is an epoch, so that the end of the first run is no round more.
    let settings = ["--wire", "int8", "--period", "23", "--json", "--epochs"];
    let whole = summary(&train(2, &[&settings[..], &["4"]].concat()));
    let words = |epochs| [&settings[..], &[epochs, "--checkpoint", folder.path().to_str().unwrap()]].concat();
    summary(&train(2, &words("2")));
    let resumed = summary(&train(2, &words("4")));
    assert_eq!(whole["hash"], resumed["hash"]);
    let rounds = |of: &Value| of["rounds"].as_array().unwrap().len();
    assert_eq!((rounds(&whole), rounds(&resumed)), (4, 2));
}

#[test]
fn it_prints_a_table_and_explains_itself() {
    if is_worker() {
        return;
    }
    let output = train(2, &["--epochs", "1"]);
    let table = text(&output);
    for word in ["round", "steps", "loss", "bytes", "seconds", "waited", "test accuracy"] {
        assert!(table.contains(word), "no {word} in:\n{table}");
    }
    let help = text(&train(1, &["--help"]));
    assert!(help.contains("Examples:") && help.contains("mpirun -n 4"), "{help}");
    let wrong = train(1, &["--period", "0"]);
    assert!(!wrong.status.success() && text(&wrong).contains("0 is not in 1..=1000000"), "{}", text(&wrong));
}
