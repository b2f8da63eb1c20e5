use lookahead_wgpu::Memory;
use train::history::{Alphas, Epoch, Guarded, History, Sample, Setting};
use train::profile::{Call, Clock, Profile};
use train::{plot, report};

fn history(name: &str, lookahead: Option<Setting>) -> History {
    let is_slow = lookahead.is_some();
    let share = |step: u32| 1.0 - 0.9 * (-f64::from(step) / 40.0).exp();
    let epochs = (1..=4u32).map(|epoch| Epoch {
        epoch: epoch.into(),
        train_loss: 0.5 / f64::from(epoch),
        test_loss: 0.6 / f64::from(epoch),
        fast_accuracy: share(50 * epoch),
        slow_accuracy: is_slow.then(|| share(55 * epoch)),
        average_accuracy: is_slow.then(|| share(60 * epoch)),
        seconds: f64::from(epoch) * 1.25,
    });
    let samples = (1..=20u32).map(|i| Sample {
        step: (10 * i).into(),
        fast: share(10 * i),
        slow: is_slow.then(|| share(11 * i)),
        average: is_slow.then(|| share(12 * i)),
    });
    History {
        name: name.to_owned(),
        rule: "adam".to_owned(),
        lookahead,
        losses: (1..=200u32).map(|step| 2.3 / f64::from(step)).collect(),
        samples: samples.collect(),
        alphas: Vec::new(),
        epochs: epochs.collect(),
        batches: 50,
        memory: Memory { weights: 512, slow_weights: 256, ..Memory::default() },
        guard: is_slow.then_some(Guarded { skipped: 3, loss_scale: 1024.0 }),
        steps: 200,
        divergence: None,
        profile: None,
    }
}

fn both() -> [History; 2] {
    let setting = Setting { k: 5, alpha: 0.5, policy: "maintain".to_owned() };
    [history("adam", None), history("lookahead(adam)", Some(setting))]
}

#[test]
fn tables_line_up_and_fit_a_terminal() {
    for run in both() {
        let widths: Vec<_> = run.epochs.iter().map(|epoch| report::row(epoch).len()).collect();
        assert!(widths.iter().all(|&width| width == report::HEAD.lines().last().unwrap().len()));
    }
    let table = report::comparison(&both());
    let widths: Vec<_> = table.lines().map(str::len).collect();
    assert_eq!(widths.len(), 3);
    assert!(widths.iter().all(|&width| width == widths[0] && width <= 80), "{table}");
    let alone = report::row(&both()[0].epochs[0]);
    assert!(alone.contains(" - "), "{alone}");
}

#[test]
fn json_has_the_slow_accuracy_and_null_for_a_rule_alone() {
    let [mut alone, lookahead] = both();
    alone.epochs[1].train_loss = f64::NAN;
    let text = report::json("a GPU", "vulkan", "digits", &[alone.clone(), lookahead.clone()]).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["adapter"], &value["backend"]), (&"a GPU".into(), &"vulkan".into()));
    let [first, second] = value["runs"].as_array().unwrap().as_slice() else { panic!() };
    assert!(first["k"].is_null() && first["alpha"].is_null() && first["policy"].is_null());
    assert!(first["epochs"][1]["train_loss"].is_null());
    assert_eq!(first["epochs"][0]["test_accuracy"], alone.epochs[0].fast_accuracy);
    assert_eq!((&second["name"], &second["rule"]), (&"lookahead(adam)".into(), &"adam".into()));
    assert_eq!((&second["k"], &second["alpha"]), (&5.into(), &0.5.into()));
    assert_eq!(second["policy"], "maintain");
    assert_eq!(second["epochs"][3]["epoch"], 4);
    assert_eq!(second["epochs"][3]["test_accuracy"], lookahead.epochs[3].slow_accuracy.unwrap());
    assert_eq!(second["epochs"][3]["seconds_since_start"], 5.0);
    assert_eq!(
        (&second["epochs"][0]["seconds_of_epoch"], &second["epochs"][3]["seconds_of_epoch"]),
        (&1.25.into(), &1.25.into())
    );
    assert!(second["epochs"][3]["seconds"].is_null() && second["divergence"].is_null());
    assert_eq!(second["epochs"][3]["average_accuracy"], lookahead.epochs[3].average_accuracy.unwrap());
    assert_eq!(second["epochs"][3]["fast_accuracy"], lookahead.epochs[3].fast_accuracy);
    assert!(first["epochs"][3]["average_accuracy"].is_null() && first["skipped_steps"].is_null());
    assert_eq!((&second["skipped_steps"], &second["loss_scale"]), (&3.into(), &1024.0.into()));
    assert_eq!(second["memory_bytes"]["slow_weights"], 256);
    assert_eq!(second["memory_bytes"]["total"], 768);
    let words = report::guarded(&lookahead.guard.unwrap());
    assert_eq!(words, "3 steps skipped; loss scale 1024");
}

#[test]
fn a_profile_is_a_table_that_fits_a_terminal_and_json() {
    let call = |kind, batches, seconds| Call { kind, batches, seconds };
    let mut profile = Profile {
        clock: Clock::Timestamps,
        batches: 10,
        forward: 3e-4,
        backward: 5e-4,
        optimizer: 1.5e-4,
        host: 5e-5,
        calls: vec![call("step", 8, 1e-4), call("step with sync", 2, 3.5e-4)],
    };
    let table = report::profile(&profile);
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");
    for (name, milliseconds, share) in [
        ("forward", "0.3000", "30.0 %"),
        ("backward", "0.5000", "50.0 %"),
        ("optimizer", "0.1500", "15.0 %"),
        ("host", "0.0500", "5.0 %"),
        ("all", "1.0000", "100.0 %"),
    ] {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.contains(milliseconds) && line.ends_with(share), "{table}");
    }
    assert!(table.contains("ms a step") && table.contains("GPU's timestamps"), "{table}");
    assert!(
        table.lines().any(|line| line.starts_with("  step with sync") && line.ends_with("0.3500")),
        "{table}"
    );
    let text = |run: History| report::json("a GPU", "vulkan", "digits", &[run]).unwrap();
    let [_, run] = both();
    let profiled = History { profile: Some(profile.clone()), ..run.clone() };
    let value: serde_json::Value = serde_json::from_str(&text(profiled)).unwrap();
    let found = &value["runs"][0]["profile"];
    assert_eq!((&found["clock"], &found["forward_seconds"]), (&"timestamps".into(), &3e-4.into()));
    assert_eq!(
        (&found["calls"][1]["kind"], &found["calls"][1]["batches"]),
        (&"step with sync".into(), &2.into())
    );
    let value: serde_json::Value = serde_json::from_str(&text(run)).unwrap();
    assert!(value["runs"][0]["profile"].is_null());
    // Where several batches make a step, it is a batch that is timed.
    profile.calls.insert(0, call("accumulation", 10, 1e-5));
    profile.clock = Clock::Host;
    let table = report::profile(&profile);
    assert!(table.contains("ms a batch") && table.contains("host's clock"), "{table}");
}

#[test]
fn a_plot_is_a_png_with_every_curve_in_its_colour() {
    let bytes = plot::png(&both()).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.color_type), (1000, png::ColorType::Rgb));
    for colour in [[213, 94, 0], [0, 72, 132], [86, 180, 233], [0, 158, 115]] {
        let count = pixels.chunks_exact(3).filter(|&pixel| pixel == colour).count();
        assert!(count > 1000, "{colour:?}: {count} pixels");
    }
}

#[test]
fn adaptive_alphas_have_a_panel_and_a_figure_of_their_own() {
    let [alone, mut lookahead] = both();
    let height = |runs: &[History]| {
        let bytes = plot::png(runs).unwrap();
        png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap().info().height
    };
    let plain = height(&[alone.clone(), lookahead.clone()]);
    lookahead.alphas = (1..=10)
        .map(|i: u32| Alphas {
            step: (20 * i).into(),
            values: vec![0.1 * f64::from(i), 1.0 - 0.05 * f64::from(i)],
        })
        .collect();
    let runs = [alone, lookahead];
    assert!(height(&runs) > plain + 300);
    let text = report::json("a GPU", "vulkan", "digits", &runs).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let epochs = &value["runs"][1]["epochs"];
    assert_eq!(epochs[3]["alphas"].as_array().unwrap().len(), 2);
    assert_eq!(epochs[3]["alphas"][0], 1.0);
    assert!(value["runs"][0]["epochs"][0]["alphas"].is_null());
}

#[test]
fn a_plot_of_odd_runs_is_a_picture_or_an_error() {
    let [alone, _] = both();
    assert!(plot::png(&[]).is_err());
    assert!(plot::png(&[History { losses: vec![f64::NAN; 200], ..alone.clone() }]).is_err());
    assert!(plot::png(&[History { samples: vec![], ..alone.clone() }]).is_err());
    let flat = History { losses: vec![1.0; 3], samples: alone.samples[..1].to_vec(), ..alone.clone() };
    plot::png(&[flat]).unwrap();
    let zeros = History { losses: [vec![1.0; 100], vec![0.0; 100]].concat(), ..alone };
    plot::png(&[zeros]).unwrap();
}
