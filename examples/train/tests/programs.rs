//! The program as a whole.

use crate::fresh_folder;
use clap::Parser;
use lookahead_test_support::gpu;
use std::fs;
use std::path::Path;
use train::arguments::Arguments;
use train::program;

fn run(words: &[&str]) -> Result<(), String> {
    let adapter = gpu().label();
    let arguments = Arguments::try_parse_from(["train", "--adapter", &adapter].iter().chain(words)).unwrap();
    program::run(&arguments).map_err(|problem| problem.to_string())
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn nothing_is_touched_where_outputs_share_a_path() {
    let folder = fresh_folder("shared_path");
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (path, json) = (at("run"), at("run.json"));
    let words = ["--epochs", "1", "--hidden", "8", "--checkpoint", &path, "--json", &json];
    let message = run(&words).unwrap_err();
    assert!(message.contains("--checkpoint") && message.contains("--json"), "{message}");
    assert!(names(&folder).is_empty());
    // The same for a run that goes on: its history stays.
    run(&words[..6]).unwrap();
    assert_eq!(names(&folder), ["run", "run.json"]);
    let before = fs::read(&json).unwrap();
    run(&[&words[..], &["--resume"]].concat()).unwrap_err();
    assert_eq!(fs::read(&json).unwrap(), before);
    let words = ["--epochs", "2", "--hidden", "8", "--checkpoint", &path, "--resume"];
    run(&[&words[..], &["--json", &at("report.json"), "--plot", &at("plot.png")]].concat()).unwrap();
    assert_eq!(names(&folder), ["plot.png", "report.json", "run", "run.json"]);
}

/// Set for a process that trains until it is interrupted: the folder of its outputs.
const VICTIM: &str = "LOOKAHEAD_TRAIN_INTERRUPTED";

/// Alone it does nothing, since nothing ends it.
#[test]
fn a_run_to_be_interrupted() {
    let Some(folder) = std::env::var_os(VICTIM) else { return };
    let at = |name: &str| Path::new(&folder).join(name).to_str().unwrap().to_owned();
    let outputs = ["--json", &at("a.json"), "--plot", &at("a.png"), "--checkpoint", &at("run")];
    let words = ["--hidden", "8", "--epochs", "100000", "--checkpoint-every", "10"];
    run(&[&words[..], &outputs].concat()).unwrap();
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_no_empty_files() {
    let folder = fresh_folder("interrupted");
    let program = std::env::current_exe().unwrap();
    let mut victim = std::process::Command::new(program)
        .args(["a_run_to_be_interrupted", "--nocapture"])
        .env(VICTIM, &folder)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // A checkpoint shows that it trains.
    let patience = std::time::Instant::now();
    while !folder.join("run").exists() {
        assert!(patience.elapsed().as_secs() < 120, "no checkpoint");
        assert!(victim.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let interrupt = std::process::Command::new("kill").args(["-INT", &victim.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    assert!(!victim.wait().unwrap().success());
    let left: Vec<_> = names(&folder).into_iter().filter(|name| !name.ends_with(".tmp")).collect();
    assert_eq!(left, ["run", "run.json"]);
    assert!(left.iter().all(|name| folder.join(name).metadata().unwrap().len() > 0));
}

/// Set for a process that prints its report: the path that it is given for it.
const PRINTER: &str = "LOOKAHEAD_TRAIN_PRINTS";

/// Alone it does nothing.
#[test]
fn a_report_to_be_printed() {
    let Some(path) = std::env::var_os(PRINTER) else { return };
    run(&["--epochs", "1", "--hidden", "8", "--json", path.to_str().unwrap()]).unwrap();
}

#[cfg(unix)]
#[test]
fn a_report_to_the_file_that_is_printed_to_keeps_what_was_printed() {
    let folder = fresh_folder("printed");
    for (name, path) in [("named", folder.join("named")), ("stdout", "/dev/stdout".into())] {
        let printed = folder.join(name);
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["a_report_to_be_printed", "--nocapture"])
            .env(PRINTER, path)
            .stdout(fs::File::create(&printed).unwrap())
            .stderr(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success());
        let text = fs::read_to_string(&printed).unwrap();
        let [table, json] =
            ["layers of 64-8-10 units", "\"seconds_since_start\""].map(|word| text.find(word));
        assert!(table.is_some() && json.is_some() && table < json, "{text}");
    }
}

#[test]
fn data_is_not_overwritten_by_what_is_learnt_from_it() {
    use crate::data_sets::{small_files, write_files};
    let folder = fresh_folder("own_data");
    write_files(&folder, &small_files());
    let labels = folder.join("t10k-labels-idx1-ubyte");
    let before = fs::read(&labels).unwrap();
    let data = folder.to_str().unwrap();
    let message = run(&["--data", data, "--json", labels.to_str().unwrap()]).unwrap_err();
    assert!(message.contains("--data") && message.contains("--json"), "{message}");
    assert_eq!(fs::read(&labels).unwrap(), before);
    run(&["--data", data, "--epochs", "1", "--hidden", "4"]).unwrap();
}
