//! Runs that are killed at any time end as if they had not been.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use experiments::run::record::Record;
use experiments::store::Store;
use serde_json::Value;

use super::made;

fn command(out: &Path, data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_experiments"));
    command.arg("train").args(arguments).args(["--json", "--every", "0"]);
    command.arg("--data").arg(data).arg("--out").arg(out).stderr(Stdio::inherit());
    command
}

/// A run that is killed by the system after so many events, each time anew, and then left alone.
fn record(data: &Path, arguments: &[&str], kills: &[usize]) -> Record {
    let out = tempfile::tempdir().expect("a folder");
    for &events in kills {
        let mut child =
            command(out.path(), data, arguments).stdout(Stdio::piped()).spawn().expect("the program");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let seen = lines.take(events).count();
        assert_eq!(seen, events, "it ended before it was killed");
        child.kill().expect("a kill");
        child.wait().expect("its end");
    }
    let output = command(out.path(), data, arguments).output().expect("the program");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    let record: Record = serde_json::from_str(text.lines().last().expect("a record")).expect("a record");
    let left: Vec<_> = std::fs::read_dir(out.path().join("runs")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "a record, and no checkpoint");
    record
}

/// That two runs came to the same bits, in all that does not hang on the clock.
fn same(one: &Record, other: &Record) {
    let (one, other) = (timeless(one), timeless(other));
    for part in ["history", "test", "probe"] {
        assert!(one[part] == other[part], "{part}: {}\n{}", one["history"], other["history"]);
    }
    assert!(one == other);
}

fn timeless(record: &Record) -> Value {
    let mut value = serde_json::to_value(record).expect("a record");
    value["seconds"] = Value::Null;
    for point in value["history"].as_array_mut().expect("points") {
        point["seconds"] = Value::Null;
    }
    value
}

#[test]
fn images_go_on_bit_for_bit() {
    let data = tempfile::tempdir().expect("a folder");
    made::images(data.path());
    let arguments =
        ["fashion-mnist", "--rate", "0.05", "--k", "3", "--epochs", "3", "--probe", "2", "--average", "ema"];
    let whole = record(data.path(), &arguments, &[]);
    assert_eq!((whole.history.len(), whole.epoch_steps), (3, 4));
    let probe = whole.probe.as_ref().expect("a look inside");
    assert_eq!(probe.steps.len(), 3 * 3 + 4);
    same(&record(data.path(), &arguments, &[3, 5, 1, 4]), &whole);
    what_a_kill_left_goes_with_the_record(&whole);
}

/// A checkpoint that was being written when its process was killed.
fn what_a_kill_left_goes_with_the_record(record: &Record) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let checkpoint = store.checkpoint(&record.run);
    let name = checkpoint.file_name().expect("a name").to_string_lossy();
    let of = |name: &str| folder.path().join(format!(".{name}.a1.tmp"));
    for name in [&*name, "another"] {
        std::fs::write(of(name), "").expect("a file");
    }
    store.save(record).expect("to be saved");
    assert!(!of(&name).exists() && of("another").exists());
}

#[test]
fn language_goes_on_bit_for_bit() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("kjv.txt");
    made::bible(&file);
    let arguments = ["bible", "--inner", "adam", "--rate", "0.003", "--k", "5", "--epochs", "1"];
    let whole = record(&file, &arguments, &[]);
    assert!(whole.test.loss < 2.0, "{}", whole.test.loss);
    same(&record(&file, &arguments, &[7, 30]), &whole);
}

#[test]
fn the_model_may_be_on_wgpu() {
    let data = tempfile::tempdir().expect("a folder");
    made::images(data.path());
    let arguments = ["fashion-mnist", "--rate", "0.05", "--k", "3", "--epochs", "2", "--device", "wgpu"];
    let record = record(data.path(), &arguments, &[3]);
    let losses: Vec<f64> = record.history.iter().map(|point| point.train_loss).collect();
    assert!(losses.len() == 2 && losses[1] < losses[0] && losses[0] < 3.0, "{losses:?}");
}

#[test]
fn a_diverged_run_ends_with_a_record() {
    let data = tempfile::tempdir().expect("a folder");
    made::images(data.path());
    let record = record(data.path(), &["fashion-mnist", "--rate", "1e30", "--epochs", "3"], &[]);
    assert!(record.test.loss.is_nan() && record.history.last().expect("a point").train_loss.is_nan());
}

#[test]
fn another_run_is_not_gone_on_with() {
    let (data, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    made::images(data.path());
    let first = ["fashion-mnist", "--epochs", "1"];
    assert!(command(out.path(), data.path(), &first).status().expect("the program").success());
    let runs = out.path().join("runs");
    let record = std::fs::read_dir(&runs).expect("a folder").next().expect("a file").expect("a file").path();
    let other = record
        .with_file_name(record.file_name().expect("a name").to_string_lossy().replace("seed-1", "seed-2"));
    std::fs::copy(&record, &other).expect("a file");
    let second = ["fashion-mnist", "--epochs", "1", "--seed", "2"];
    let output =
        command(out.path(), data.path(), &second).stderr(Stdio::piped()).output().expect("the program");
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success() && text.contains("is of another run"), "{text}");
}
