//! Checkpoint files that were written before: each is read, goes into a new optimizer, and comes back as the same
//! bytes.

use std::{fs, path::PathBuf};

use lookahead_wgpu::{
    DEFAULT_GROUP, Group, Lookahead, Optimizer, Schedule, Snapshot, StatePolicy, gpu::Gpu, rules::Adam,
    rules::Sgd,
};

use crate::{
    bits::train,
    cases::{self, Case},
    common::{gpu, on_every_adapter},
    places::{build, places},
    record::{folder, is_recording},
};

/// The cases, and after how many calls each was saved: within a cycle or at its end, between two micro-batches.
const FILES: [(&str, u64); 21] = [
    ("sgd momentum interpolate", 5),
    ("adagrad interpolate", 4),
    ("rmsprop centered interpolate", 5),
    ("adadelta interpolate", 3),
    ("amsgrad interpolate", 5),
    ("nadam interpolate", 3),
    ("adabelief interpolate", 5),
    ("lion interpolate", 3),
    ("adafactor factored interpolate", 5),
    ("lars interpolate", 3),
    ("lamb reset", 5),
    ("adam alone", 4),
    ("slow mo", 5),
    ("polyak", 5),
    ("alpha last step fisher", 5),
    ("accumulate mean", 5),
    ("guard accumulate", 7),
    ("slow bf16 nesterov", 5),
    ("guard schedule", 5),
    ("half gradients f16", 5),
    ("groups three", 4),
];

fn path(name: &str) -> PathBuf {
    folder().join("checkpoints").join(format!("{}.safetensors", name.replace(' ', "-")))
}

fn case(name: &str) -> Case {
    let found = cases::all().into_iter().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("there is no case `{name}`"))
}

fn optimizer(gpu: &Gpu, case: &Case) -> Optimizer {
    build(case, &gpu.device, &gpu.queue, &places(case, &gpu.device)).0
}

/// What goes in and comes out does not hang on what computes: one adapter is enough, and not the one that takes
/// longest over pipelines.
fn on_one_adapter(test: impl Fn(&Gpu)) {
    let (chosen, tested) = (&gpu().info, std::cell::Cell::new(0));
    on_every_adapter(|gpu| {
        if (&gpu.info.name, gpu.info.backend) == (&chosen.name, chosen.backend) {
            test(gpu);
            tested.set(tested.get() + 1);
        }
    });
    assert_eq!(tested.get(), 1, "{} is opened again", chosen.name);
}

/// Writes those that are missing: what is there is of an earlier version, and stays.
fn write_missing(gpu: &Gpu) {
    for (name, calls) in FILES.into_iter().filter(|(name, _)| !path(name).exists()) {
        fs::create_dir_all(folder().join("checkpoints")).unwrap();
        let case = case(name);
        let mut optimizer = optimizer(gpu, &case);
        train(gpu, &case, &mut optimizer, None, &[], calls);
        fs::write(path(name), optimizer.export_blocking().unwrap().to_bytes().unwrap()).unwrap();
        eprintln!("wrote {}", path(name).display());
    }
}

#[test]
fn earlier_files_come_back_as_the_same_bytes() {
    on_one_adapter(|gpu| {
        if is_recording() {
            write_missing(gpu);
        }
        for (name, _) in FILES {
            let written = fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            comes_back(optimizer(gpu, &case(name)), name, &written, &written);
        }
    });
}

/// Of the version before settings were kept, which are the optimizer's then: it comes back in today's form.
#[test]
fn a_file_of_version_1_comes_back_as_recorded() {
    on_one_adapter(|gpu| {
        let builder = Optimizer::builder(Adam::new(0.01))
            .lookahead(Lookahead::new(4, 0.5).policy(StatePolicy::Interpolate))
            .group(Group::new("head").rule(Sgd::new(0.1).momentum(0.9)).weight_decay(0.5).frozen())
            .schedule(Schedule::steps([(2, 0.5)]))
            .tensor("w", &[2, 3])
            .tensor_in("head", "v", &[5]);
        let old = include_bytes!("../plain/checkpoint/version1.safetensors");
        let optimizer = builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
        let path = path("version 1 as version 2");
        if is_recording() && !path.exists() {
            let mut optimizer = optimizer;
            optimizer.import(&Snapshot::from_bytes(old).unwrap()).unwrap();
            fs::write(&path, optimizer.export_blocking().unwrap().to_bytes().unwrap()).unwrap();
        } else {
            comes_back(optimizer, "version 1", old, &fs::read(path).unwrap());
        }
    });
}

/// Of a cycle that keeps the k and alpha that it began with, though others are set.
#[test]
fn a_latched_cycle_comes_back_as_the_same_bytes() {
    on_one_adapter(|gpu| {
        let (case, path) = (case("guard"), path("guard latched"));
        if is_recording() && !path.exists() {
            let mut optimizer = optimizer(gpu, &case);
            train(gpu, &case, &mut optimizer, None, &[], 3);
            optimizer.set_k(DEFAULT_GROUP, 7).unwrap();
            optimizer.set_alpha(DEFAULT_GROUP, 0.25).unwrap();
            fs::write(&path, optimizer.export_blocking().unwrap().to_bytes().unwrap()).unwrap();
        }
        let written = fs::read(path).unwrap();
        assert!(String::from_utf8_lossy(&written).contains("pull"), "the settings are the cycle's own");
        comes_back(optimizer(gpu, &case), "guard latched", &written, &written);
    });
}

#[track_caller]
fn comes_back(mut optimizer: Optimizer, name: &str, written: &[u8], expected: &[u8]) {
    let snapshot = Snapshot::from_bytes(written).unwrap_or_else(|error| panic!("{name}: {error}"));
    optimizer.import(&snapshot).unwrap_or_else(|error| panic!("{name}: {error}"));
    let again = optimizer.export_blocking().unwrap().to_bytes().unwrap();
    if again == expected {
        return;
    }
    let at = again.iter().zip(expected).position(|(found, due)| found != due);
    let at = at.unwrap_or(again.len().min(expected.len()));
    let around = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[at.saturating_sub(60)..bytes.len().min(at + 60)]).into_owned()
    };
    panic!(
        "{name}: the file comes back with {} bytes, not {}, and differs from byte {at} on:\n- {}\n+ {}",
        again.len(),
        expected.len(),
        around(expected),
        around(&again)
    );
}
