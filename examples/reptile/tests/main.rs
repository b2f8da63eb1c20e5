//! The kernel against differences of the loss, and the program from its command line to its files.

use clap::{CommandFactory, Parser};
use lookahead_test_support::gpu;
use lookahead_wgpu::{Field, Optimizer, rules::Sgd};
use rand::{SeedableRng, rngs::SmallRng};
use reptile::{
    arguments::Arguments,
    fit::{Sample, errors},
    learner::Learner,
    network::{LEN, first_weights, loss},
    program,
    waves::Wave,
};
use std::path::Path;

/// What a step of SGD takes from the weights is the gradient: here against central differences in f64.
#[test]
fn the_kernels_gradient_is_that_of_the_loss() {
    let mut random = SmallRng::seed_from_u64(3);
    let weights = first_weights(&mut random);
    let wave = Wave { amplitude: 2.0, phase: 1.0 };
    let points = wave.batch(&mut random);
    let mut learner = Learner::new(gpu(), Optimizer::builder(Sgd::new(1.0)), 1).unwrap();
    learner.upload(&weights).unwrap();
    learner.train(1, |_| points).unwrap();
    let found = learner.download(Field::Gradients).unwrap();
    let of = |weights: &[f32]| loss(weights, points.iter().map(|[x, y]| (f64::from(*x), f64::from(*y))));
    let mut worst = 0.0f64;
    for at in (0..128).chain((128..LEN).step_by(37)).chain(LEN - 66..LEN) {
        let moved = |by: f32| {
            let mut weights = weights.clone();
            weights[at] += by;
            (f64::from(weights[at]), of(&weights))
        };
        let ((above, more), (below, less)) = (moved(1e-3), moved(-1e-3));
        worst = worst.max((f64::from(found[at]) - (more - less) / (above - below)).abs());
    }
    assert!(worst < 1e-4, "off by {worst:e}");
}

/// A short run of it helps already.
#[test]
fn learned_weights_fit_new_waves_better() {
    let arguments = Arguments::parse_from(["reptile", "--steps", "1500"]);
    let mut random = SmallRng::seed_from_u64(5);
    let first = first_weights(&mut random);
    let (learned, rounds) = program::learn(gpu(), &arguments, &first, &mut random).unwrap();
    assert_eq!(rounds, 60);
    let mut learner = Learner::new(gpu(), Optimizer::builder(Sgd::new(arguments.lr)), arguments.fit).unwrap();
    let waves: Vec<Wave> = (0..10).map(|_| Wave::random(&mut random)).collect();
    let samples: Vec<Sample> =
        waves.iter().map(|&wave| Sample { wave, points: wave.batch(&mut random) }).collect();
    let mut errors = |from: &[f32]| errors(&mut learner, from, &samples, arguments.fit).unwrap().after;
    let (from_first, from_learned) = (errors(&first), errors(&learned));
    assert!(from_learned < from_first, "{from_learned} from learned weights, {from_first} from the first");
}

#[test]
fn the_program_writes_what_it_found() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reptile");
    // It may not be there.
    let _ = std::fs::remove_dir_all(&folder);
    let json = folder.join("reptile.json");
    let (out, file) = (folder.to_str().unwrap(), json.to_str().unwrap());
    let words = ["reptile", "--steps", "40", "--tasks", "3", "--waves", "2", "--out", out, "--json", file];
    let run = || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_reptile")).args(&words[1..]).output();
        let output = output.unwrap();
        let [text, errors] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        assert!(output.status.success(), "{errors}");
        (text, std::fs::read_to_string(&json).unwrap())
    };
    let (text, found) = run();
    for part in ["4353 weights", "3 rounds of 3 tasks of 5 steps, 45 in", " ms a step", "reptile.svg"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let found = parse(&found);
    assert_eq!(
        (&found["steps"], &found["tasks"], found["points"].as_array().unwrap().len()),
        (&45.into(), &3.into(), 10)
    );
    assert!(found["learned"]["after"].as_f64().unwrap() > 0.0);
    let png = std::fs::read(folder.join("reptile.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000, "{} bytes", png.len());
    let table = std::fs::read_to_string(folder.join("reptile.csv")).unwrap();
    assert_eq!(table.lines().next(), Some("x,wave,before,after,after_from_first"));
    assert_eq!(table.lines().count(), 102);
    // The same seed, the same run.
    let again = parse(&run().1);
    assert_eq!((&again["learned"], &again["first"]), (&found["learned"], &found["first"]));
}

#[test]
fn what_it_says_is_understood() {
    let help = Arguments::command().render_long_help().to_string();
    assert!(help.contains("cargo run --release -p reptile"), "{help}");
    for bad in [["--tasks", "0"], ["--k", "0"], ["--steps", "-1"], ["--fit", "many"]] {
        assert!(Arguments::try_parse_from(["reptile", bad[0], bad[1]]).is_err(), "{bad:?}");
    }
}
