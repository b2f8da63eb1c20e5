//! Runs whose loss or weights become infinite or no number.

use crate::{fresh_folder, trained};
use clap::Parser;
use lookahead_test_support::gpu;
use lookahead_wgpu::Snapshot;
use std::fs;
use std::path::Path;
use train::arguments::Arguments;
use train::checkpoint::Checkpoint;
use train::data::Dataset;
use train::driver::Workbench;
use train::history::{Divergence, History};
use train::program;

fn arguments(words: &[&str]) -> Arguments {
    let adapter = gpu().label();
    Arguments::try_parse_from(["train", "--hidden", "8", "--adapter", &adapter].iter().chain(words)).unwrap()
}

fn run(words: &[&str]) -> Result<(), String> {
    program::run(&arguments(words)).map_err(|problem| problem.to_string())
}

/// The state of a good run, and its history.
fn good() -> (Snapshot, History) {
    let how = arguments(&["--epochs", "1"]).settings().unwrap().remove(0);
    let bench = Workbench::new(gpu().clone(), &Dataset::digits().unwrap()).unwrap();
    trained(&bench, &how, 100).1.pop().unwrap()
}

#[test]
fn a_run_that_diverges_fails_and_keeps_no_checkpoint_of_it() {
    let folder = fresh_folder("diverged");
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (path, json, plot) = (at("run"), at("run-report.json"), at("run.png"));
    for options in [&[][..], &["--guard"], &["--half", "bf16"], &["--half", "f16"], &["--rule", "sgd"]] {
        let fixed = ["--lr", "1e30", "--epochs", "2", "--checkpoint", &path, "--checkpoint-every", "1"];
        let message = run(&[&fixed[..], options, &["--json", &json, "--plot", &plot]].concat()).unwrap_err();
        assert!(message.contains("diverged") && message.contains("--lr"), "{message}");
        assert!(!Path::new(&path).exists(), "{options:?}: {message}");
        // The report is of what there was.
        let report: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
        let batch = &report["runs"][0]["divergence"]["batch"];
        assert!((1..4).contains(&batch.as_u64().unwrap()), "{report}");
    }
}

#[test]
fn the_last_good_checkpoint_of_a_run_that_diverges_stays() {
    let folder = fresh_folder("diverged_later");
    let path = folder.join("run");
    let words = ["--lr", "1e30", "--epochs", "3", "--checkpoint", path.to_str().unwrap(), "--resume"];
    let how = arguments(&words).settings().unwrap().remove(0);
    let (mut snapshot, history) = good();
    // A checkpoint brings its learning rate along.
    snapshot.groups.iter_mut().for_each(|group| group.learning_rate = 1e30);
    Checkpoint::new(&path, "digits", &how).unwrap().keep(&snapshot, &history).unwrap();
    let (before, journal) = (fs::read(&path).unwrap(), folder.join("run.json"));
    let journal_before = fs::read(&journal).unwrap();
    for every in ["1", "7", "500"] {
        let message = run(&[&words[..], &["--checkpoint-every", every]].concat()).unwrap_err();
        assert!(message.contains("diverged") && message.contains("still the checkpoint"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read(&journal).unwrap(), journal_before);
    }
}

/// One run of two may diverge; the other is told all the same.
#[test]
fn a_comparison_with_a_run_that_diverges_is_reported_whole() {
    let folder = fresh_folder("diverged_comparison");
    let json = folder.join("report.json");
    let words = ["--lr", "1e30", "--epochs", "1", "--compare", "--json", json.to_str().unwrap()];
    let message = run(&words).unwrap_err();
    assert!(message.contains("adam diverged"), "{message}");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["runs"].as_array().unwrap().len(), 2);
}

/// A loss may be finite where weights are not: a ReLU takes what is no number for zero.
#[test]
fn weights_and_state_are_looked_at_and_not_the_loss_alone() {
    let (mut snapshot, _) = good();
    assert_eq!(Divergence::of_state(&snapshot, &[0.5, 0.1], 23), None);
    let found = Divergence::of_state(&snapshot, &[0.5, f64::INFINITY], 23).unwrap();
    assert_eq!((found.batch, found.what.as_str()), (23, "the loss over test images is inf"));
    for field in ["weights", "slow_weights", "state.exp_avg_sq"] {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut wrong = snapshot.clone();
            let values = wrong.tensors[2].fields.iter_mut().find(|(name, _)| name == field);
            values.unwrap().1[3] = value;
            let found = Divergence::of_state(&wrong, &[0.5], 23).unwrap();
            assert!(
                found.what.contains("fc2.weight") && found.what.contains(&value.to_string()),
                "{found:?}"
            );
        }
    }
    // The guard skips the step of such a sum.
    let sum = ("accumulated".to_owned(), vec![f32::INFINITY]);
    snapshot.tensors[0].fields.push(sum);
    assert_eq!(Divergence::of_state(&snapshot, &[0.5], 23), None);
    assert_eq!(Divergence::of_losses(&[f64::NAN, 1.0, 2.0], 1), None);
    assert_eq!(Divergence::of_losses(&[1.0, 1.0, f64::NAN], 1).map(|found| found.batch), Some(3));
}

#[test]
fn a_run_of_which_the_guard_skips_every_step_says_so() {
    let words = ["--half", "f16", "--loss-scale", "1e30", "--epochs", "1", "--accumulate", "1000"];
    let message = run(&words).unwrap_err();
    assert!(message.contains("no step") && message.contains("skipped 1 step,"), "{message}");
}

#[test]
fn numbers_that_are_none_in_f32_are_refused_by_name() {
    for (option, value) in [
        ("--lr", "1e-50"),
        ("--lr", "1e-40"),
        ("--lr", "1e39"),
        ("--lr", "0"),
        ("--lr", "nan"),
        ("--lr", "inf"),
        ("--alpha", "1e-50"),
        ("--alpha-low", "1e-60"),
    ] {
        let words = ["train", "--adaptive", option, value];
        let message = Arguments::try_parse_from(words).unwrap_err().to_string();
        assert!(message.contains(option) && message.contains(value), "{message}");
    }
    for (option, value) in [("--lr", "1e-37"), ("--lr", "3e38"), ("--alpha", "1e-37"), ("--alpha", "1")] {
        Arguments::try_parse_from(["train", option, value]).unwrap();
    }
}
