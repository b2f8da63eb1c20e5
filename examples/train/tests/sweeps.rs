//! Sweeps: what the command line says of them, what they come to, and how that is shown.

use crate::fresh_folder;
use clap::Parser;
use lookahead_wgpu::Memory;
use std::fs;
use train::arguments::Arguments;
use train::history::{Divergence, Epoch, History, Setting};
use train::program;
use train::sweep::axes::{Axes, Axis};
use train::sweep::outcome::{Cell, Spread, best, by_series};
use train::sweep::{Sweep, plot, report, words};

fn axes(text: &str) -> Result<Axes, String> {
    text.parse()
}

fn sweep(words: &str) -> Result<Sweep, String> {
    let words = ["train"].into_iter().chain(words.split_whitespace());
    let arguments = Arguments::try_parse_from(words).map_err(|problem| problem.to_string())?;
    Ok(arguments.sweep().map_err(|problem| problem.to_string())?.unwrap())
}

#[test]
fn lists_and_ranges_are_read() {
    assert_eq!(axes("lr=0.001:0.3").unwrap().lr, [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]);
    assert_eq!(axes("lr=0.002:0.05").unwrap().lr, [0.002, 0.003, 0.01, 0.03, 0.05]);
    assert_eq!(axes("lr=0.001:0.1:5").unwrap().lr, [0.001, 0.00316, 0.01, 0.0316, 0.1]);
    assert_eq!(axes("lr=1e-8:2e-8").unwrap().lr, [1e-8, 2e-8]);
    let all = axes("alpha=0.8,0.2,k=10,5,2:8:3,lr=0.1,0.1").unwrap();
    assert_eq!((all.lr, all.k, all.alpha), (vec![0.1], vec![2, 4, 5, 8, 10], vec![0.2, 0.8]));
    assert_eq!(axes("lr=0.1,k=1,2").unwrap().main(), Axis::K);
    assert_eq!(axes("lr=0.1,alpha=0.2,0.3").unwrap().main(), Axis::Alpha);
    assert_eq!(axes("lr=0.1,0.2,k=1,2").unwrap().main(), Axis::LearningRate);
}

#[test]
fn what_is_no_axis_is_refused_with_what_is_wrong() {
    for (text, part) in [
        ("", "belongs to no axis"),
        ("0.1", "`0.1` belongs to no axis"),
        ("lr=", "`` is no number"),
        ("lr=fast", "`fast`"),
        ("lr=0.1:", "`0.1:`"),
        ("lr=0.1,lr=0.2", "`lr` is there twice"),
        ("beta=0.9", "no axis `beta`"),
        ("lr=0", "lr: 0: it must be a number above 0"),
        ("lr=NaN", "`NaN`"),
        ("lr=1e-60", "it is 0 on the GPU"),
        ("lr=0.3:0.1", "up to a larger one"),
        ("lr=0:0.1", "above 0"),
        ("lr=0.1:0.3:1", "the count is from 2"),
        ("lr=0.1:0.3:1000000", "to 1000"),
        ("lr=1:2:3:4", "`1:2:3:4`"),
        ("k=0", "k: 0"),
        ("k=1e30", "it must be a whole number from 1 on"),
        ("k=2.5", "k: 2.5: it must be a whole number"),
        ("alpha=1.5", "alpha: 1.5: it must be above 0 and at most 1"),
    ] {
        let message = axes(text).unwrap_err();
        assert!(message.contains(part), "{text}: {message}");
    }
    for (words, part) in [
        ("--sweep lr=0.1:0.3 --lr 0.1", "`--lr` is for a --sweep that does not vary it"),
        ("--sweep k=2,5 --k 5", "--k"),
        ("--sweep lr=0.1 --compare", "--compare"),
        ("--sweep lr=0.1 --checkpoint a", "--checkpoint"),
        ("--seeds 3", "--sweep"),
        ("--csv a", "--sweep"),
        ("--sweep lr=0.1 --seeds 0", "--seeds"),
    ] {
        let message = sweep(words).unwrap_err();
        assert!(message.contains(part), "{words}: {message}");
    }
}

#[test]
fn each_setting_is_there_once_and_the_rule_alone_at_every_learning_rate() {
    let found = sweep("--sweep lr=0.01,0.1,k=2,5,alpha=0.5,0.8 --seed 7 --seeds 2 --average swa").unwrap();
    assert_eq!(found.seeds, [7, 8]);
    let rows = found.settings.iter();
    let rows: Vec<_> =
        rows.map(|row| (row.learning_rate, row.lookahead.map(|(k, alpha, _)| (k, alpha)))).collect();
    let lookahead = [(2, 0.5), (2, 0.8), (5, 0.5), (5, 0.8)].map(Some);
    let each = |lr: f64| [None].into_iter().chain(lookahead).map(move |setting| (lr, setting));
    assert_eq!(rows, each(0.01).chain(each(0.1)).collect::<Vec<_>>());
    // What follows from k follows from each.
    let average = |index: usize| found.settings[index].options.average;
    assert!(average(1) != average(3) && average(1) == average(2));
    let plain = sweep("--sweep lr=0.01 --lr 0.5").unwrap_err();
    assert!(plain.contains("--lr"), "{plain}");
    let one = sweep("--sweep k=3 --lr 0.5").unwrap();
    assert_eq!((one.settings.len(), one.settings[0].learning_rate, one.seeds.len()), (2, 0.5, 3));
}

/// A run with a test loss after each of two epochs; one that diverged has none after the second.
fn history(lookahead: Option<(u32, f64)>, loss: Option<f64>) -> History {
    let epoch = |epoch: u64, loss: f64| Epoch {
        epoch,
        train_loss: loss,
        test_loss: loss,
        fast_accuracy: 1.0 - loss / 10.0,
        slow_accuracy: lookahead.map(|_| 1.0 - loss / 10.0),
        average_accuracy: None,
        seconds: 1.0,
    };
    let second = loss.map(|loss| epoch(2, loss));
    let what = "the batch's loss is NaN".to_owned();
    History {
        name: if lookahead.is_some() { "lookahead(adam)" } else { "adam" }.to_owned(),
        rule: "adam".to_owned(),
        lookahead: lookahead.map(|(k, alpha)| Setting { k, alpha, policy: "maintain".to_owned() }),
        losses: vec![1.0],
        samples: Vec::new(),
        alphas: Vec::new(),
        epochs: [epoch(1, 2.0)].into_iter().chain(second).collect(),
        batches: 1,
        memory: Memory::default(),
        guard: None,
        steps: 2,
        divergence: loss.is_none().then_some(Divergence { batch: 2, what }),
        profile: None,
    }
}

/// The cells of a sweep whose losses `loss` gives by place among the settings and by seed.
fn cells(sweep: &Sweep, loss: impl Fn(usize, u64) -> Option<f64>) -> Vec<Cell> {
    let cells = sweep.settings.iter().enumerate().map(|(index, settings)| {
        let setting = settings.lookahead.map(|(k, alpha, _)| (k, alpha));
        let runs = sweep.seeds.iter().map(|&seed| (seed, history(setting, loss(index, seed)))).collect();
        Cell { settings: settings.clone(), runs }
    });
    cells.collect()
}

#[test]
fn a_run_that_diverged_counts_as_infinite_and_is_counted() {
    let sweep = sweep("--sweep lr=0.01,0.1 --epochs 2").unwrap();
    // Adam: fine, then diverged with seeds 2 and 3. Lookahead: behind by a tenth, then ahead, diverged with seed 3.
    let cells = cells(&sweep, |index, seed| match (index, seed) {
        (0, _) => Some(0.10 + 0.001 * seed as f64),
        (1, _) => Some(0.11 + 0.001 * seed as f64),
        (2, 1) => Some(0.5),
        (2, _) | (3, 3) => None,
        _ => Some(0.3),
    });
    let spread = |median, lowest, highest| Spread { median, lowest, highest };
    assert_eq!(cells[2].test_loss(), spread(f64::INFINITY, 0.5, f64::INFINITY));
    assert_eq!(cells[2].accuracy(), spread(0.0, 0.0, 0.95));
    assert_eq!(cells[3].test_loss(), spread(0.3, 0.3, f64::INFINITY));
    assert_eq!(cells.iter().map(Cell::diverged).collect::<Vec<_>>(), [0, 0, 2, 1]);
    assert_eq!(cells[3].curve()[0].1, spread(2.0, 2.0, 2.0));
    // Infinite is not lower than infinite.
    assert_eq!((cells[3].lower_than(&cells[2]), cells[1].lower_than(&cells[0])), (2, 0));
    let series = by_series(&cells, sweep.axis);
    assert_eq!(series.len(), 2);
    assert_eq!(best(&series[1]).unwrap().settings.learning_rate, 0.01);

    let rows: Vec<_> = cells.iter().map(|cell| report::row(&sweep, cell, &cells)).collect();
    assert!(rows[2].contains("inf") && rows[2].ends_with("2 of 3 diverged"), "{}", rows[2]);
    assert!(rows[3].contains("2 of 3  1 of 3 diverged"), "{}", rows[3]);
    assert!(rows.iter().all(|row| row.len() <= 115), "{rows:?}");
    let text = words::words(&sweep, &cells);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let text = text.replace("\n  ", " ");
    for part in [
        "adam at learning rate 0.01 (0.1020, 98.98 % right)",
        "Lookahead's is 10 % higher; every seed of one is on the same side of every seed of the other",
        "adam at 1 of 2 (0.01); lookahead(adam) at 1 of 2 (0.01)",
        "is ahead of its rule alone at these values of learning rate: 0.1 (finite against infinite, in 2 of 3 seeds).",
        "is behind its rule alone at these values of learning rate: 0.01 (10 % higher).",
        "adam 2 of 6 runs, lookahead(adam) 1 of 6 runs",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let text = String::from_utf8(report::csv(&cells).unwrap()).unwrap();
    assert_eq!(text.lines().count(), 13);
    let second = text.lines().nth(8).unwrap();
    assert_eq!(second, "adam,adam,0.1,,,,2,1,2,,,,,,2,");
    let text = report::json(&sweep, "a GPU", "vulkan", "digits", &cells).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["axis"], "learning_rate");
    assert!(value["points"][2]["test_loss"]["median"].is_null());
    assert_eq!(
        (&value["points"][2]["diverged"], &value["points"][3]["lower_than_alone"]),
        (&2.into(), &2.into())
    );
    assert_eq!(value["points"][3]["runs"][2]["divergence"]["batch"], 2);
    assert_eq!(value["points"][3]["runs"][1]["epochs"][1]["test_loss"], 0.3);
    assert_eq!((&value["points"][3]["runs"][1]["seed"], &value["points"][3]["k"]), (&2.into(), &5.into()));
    plot::png(&sweep, &cells).unwrap();
}

#[test]
fn every_axis_has_its_picture_and_words() {
    for line in [
        "--sweep k=2,5,10",
        "--sweep alpha=0.2,0.5",
        "--sweep lr=0.01,0.1,k=2,5",
        "--sweep lr=0.1 --seeds 1",
        "--sweep lr=0.001:0.1:20 --seeds 2",
    ] {
        let sweep = sweep(&format!("{line} --epochs 2")).unwrap();
        let cells = cells(&sweep, |index, seed| Some(0.1 + 0.01 * (index as f64) + 0.001 * seed as f64));
        let picture = plot::png(&sweep, &cells).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info().unwrap();
        assert_eq!(reader.info().width, 1000);
        let text = words::words(&sweep, &cells);
        assert!(text.contains(" is behind its rule alone"), "{text}");
        assert_eq!(
            text.contains("Within 1.5 times"),
            line.contains("lr=0.01") || line.contains("lr=0.001"),
            "{text}"
        );
        let head = report::head(&sweep);
        assert!(head.starts_with(&sweep.axis.to_string()), "{head}");
        assert!(report::description(&sweep).contains("of 2 epochs: adam and lookahead(adam)"));
    }
}

#[test]
fn a_picture_of_divergence_alone_is_refused() {
    let sweep = sweep("--sweep lr=0.01,0.1 --epochs 2").unwrap();
    assert!(plot::png(&sweep, &cells(&sweep, |_, _| None)).is_err());
}

#[test]
fn a_small_sweep_runs_and_writes_what_it_is_asked_for() {
    let folder = fresh_folder("sweep");
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let words = ["train", "--epochs", "1", "--hidden", "8", "--seeds", "2", "--sweep", "lr=0.01,1e30"];
    let files = [at("a.png"), at("a.csv"), at("a.json")];
    let options = ["--plot", &files[0], "--csv", &files[1], "--json", &files[2]];
    let arguments = Arguments::try_parse_from(words.into_iter().chain(options)).unwrap();
    program::run(&arguments).unwrap();
    let mut reader = csv::Reader::from_path(&files[1]).unwrap();
    let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 8);
    let value: serde_json::Value = serde_json::from_slice(&fs::read(&files[2]).unwrap()).unwrap();
    // So high a learning rate is past every bound.
    let diverged = |index: usize| value["points"][index]["diverged"].as_u64().unwrap();
    assert_eq!([0, 1, 2, 3].map(diverged), [0, 0, 2, 2]);
    assert!(value["points"][1]["test_loss"]["median"].is_f64());
    let shared = ["train", "--sweep", "lr=0.1", "--csv", &files[1], "--json", &files[1]];
    let message = program::run(&Arguments::try_parse_from(shared).unwrap()).unwrap_err().to_string();
    assert!(message.contains("--csv") && message.contains("--json"), "{message}");
}
