//! The program `train_workers`.

use std::{fs, path::Path, process::Output};

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
fn it_exchanges_layers_beside_steps() {
    if is_worker() {
        return;
    }
    let streaming = ["--overlap", "2", "--outer", "nesterov", "--alpha", "0.7", "--wire", "int8", "--json"];
    let words = [&streaming[..], &["--epochs", "12"]].concat();
    let whole = summary(&train(2, &words));
    assert!(whole["accuracy"].as_f64().unwrap() > 0.85, "{whole}");
    let beside = |round: &Value| round["overlapped"].as_f64().unwrap();
    assert!(whole["rounds"].as_array().unwrap().iter().any(|round| beside(round) > 0.0), "{whole}");
    assert_eq!(whole["hash"], summary(&train(2, &words))["hash"]);
    let wrong = train(2, &["--overlap", "4"]);
    assert!(!wrong.status.success() && text(&wrong).contains("an overlap of 4 steps"), "{}", text(&wrong));
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

/// Bytes in the IDX format.
fn idx(magic: u32, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let header = [&[magic], sizes].concat();
    header.iter().flat_map(|word| word.to_be_bytes()).chain(data.iter().copied()).collect()
}

/// A data set of images of 4 x 5 pixels, two of which are lit and tell the label.
fn write_images(folder: &Path, count: u32) {
    for (name, count) in [("train", count), ("t10k", 50)] {
        let labels: Vec<_> = (0..count).map(|image| (image / 3 % 10) as u8).collect();
        let image = |label: &u8| (0..20).map(|pixel| if pixel / 2 == *label { 255 } else { 0 }).collect();
        let pixels: Vec<Vec<u8>> = labels.iter().map(image).collect();
        let images = idx(0x803, &[count, 4, 5], &pixels.concat());
        fs::write(folder.join(format!("{name}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), idx(0x801, &[count], &labels)).unwrap();
    }
}

// Faults: the digits' number of pixels or layers in the share, the network or a pass.
#[test]
fn it_trains_on_a_folder() {
    if is_worker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write_images(folder.path(), 241);
    let words =
        ["--data", folder.path().to_str().unwrap(), "--epochs", "20", "--batch", "8", "--json", "--seed"];
    let of_seed = |seed| summary(&train(2, &[&words[..], &[seed]].concat()));
    let first = of_seed("1");
    assert!(first["accuracy"].as_f64().unwrap() > 0.95, "{first}");
    assert_eq!(first["hash"], of_seed("1")["hash"]);
    assert_ne!(first["hash"], of_seed("2")["hash"]);
    let deeper = summary(&train(2, &[&words[..], &["1", "--hidden", "24,16"]].concat()));
    assert!(deeper["accuracy"].as_f64().unwrap() > 0.9, "{deeper}");
    let table = text(&train(2, &[&words[..2], &["--hidden", "24,16", "--epochs", "1"]].concat()));
    for words in ["120 images of 4 x 5 on each rank, 50 to test on", "layers of 20-24-16-10 units"] {
        assert!(table.contains(words), "no {words} in:\n{table}");
    }
}

/// One rank with each folder.
fn train_on_each(folders: &[&Path]) -> String {
    let mut command = mpirun(1);
    for (number, folder) in folders.iter().enumerate() {
        if number > 0 {
            command.args([":", "-n", "1"]);
        }
        command.arg(example("train_workers")).arg("--data").arg(folder);
    }
    let output = run(&mut command);
    let text = text(&output);
    assert!(!output.status.success() && !text.contains("time limit"), "{text}");
    text
}

// Faults: ranks that wait for one that has no data, or fewer, and so takes fewer steps.
#[test]
fn data_that_a_rank_cannot_train_on_end_the_job() {
    if is_worker() {
        return;
    }
    let all = tempfile::tempdir().unwrap();
    let folders = ["whole", "fewer", "one", "nowhere"].map(|name| all.path().join(name));
    let [whole, fewer, one, nowhere] = folders.each_ref().map(AsRef::as_ref);
    for (folder, count) in [(whole, 200), (fewer, 100), (one, 1)] {
        fs::create_dir(folder).unwrap();
        write_images(folder, count);
    }
    for (folders, rank) in [([nowhere, nowhere], ""), ([whole, nowhere], "1: ")] {
        let text = train_on_each(&folders);
        let problem = format!("`{}` is not a folder", nowhere.display());
        assert!(text.contains(&format!("error on rank {rank}")) && text.contains(&problem), "{text}");
        assert!(text.contains("give a folder of IDX files, or `digits`"), "{text}");
    }
    let text = train_on_each(&[whole, fewer]);
    assert!(text.contains("rank 1 has read other data than rank 0; give all the same --data"), "{text}");
    let text = train_on_each(&[one, one]);
    assert!(text.contains("2 ranks have no image each: `one` has 1 to train on; start fewer"), "{text}");
}
