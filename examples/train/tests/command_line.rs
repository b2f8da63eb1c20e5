use crate::fresh_folder;
use clap::{CommandFactory, Parser, ValueEnum};
use lookahead_test_support::gpu;
use lookahead_wgpu::rules::{self, Sgd};
use lookahead_wgpu::{Memory, Optimizer};
use train::arguments::Arguments;
use train::checkpoint::{Checkpoint, CheckpointError};
use train::history::History;
use train::options::{AverageKind, CurvatureName, OuterName};
use train::rule::RuleName;
use train::settings::Settings;

fn parse(words: &str) -> Result<Vec<Settings>, String> {
    let words = ["train"].into_iter().chain(words.split_whitespace());
    let arguments = Arguments::try_parse_from(words).map_err(|problem| problem.to_string())?;
    arguments.settings().map_err(|problem| problem.to_string())
}

fn one(words: &str) -> Settings {
    parse(words).unwrap().remove(0)
}

#[test]
fn help_fits_a_terminal_and_its_examples_parse() {
    let help = Arguments::command().render_long_help().to_string();
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    let command = "cargo run --release -p train";
    let examples = help.lines().filter_map(|line| line.trim().strip_prefix(command));
    let examples: Vec<_> = examples.map(|words| words.trim_start_matches(" -- ")).collect();
    assert!(examples.len() >= 8);
    for words in examples {
        parse(words).unwrap();
    }
}

#[test]
fn options_have_their_defaults() {
    let plain = one("");
    assert_eq!((plain.learning_rate, plain.epochs), (0.003, 20));
    assert_eq!(plain.options.to_string(), "");
    let adaptive = one("--adaptive").options.adaptive.unwrap();
    assert_eq!((adaptive.curvature, adaptive.alpha_low), (CurvatureName::Corrected, 0.2));
    let adaptive = one("--adaptive fisher --alpha-low 0.5").options.adaptive.unwrap();
    assert_eq!((adaptive.curvature, adaptive.alpha_low), (CurvatureName::Fisher, 0.5));
    assert_eq!(one("--outer slow-mo").options.outer, Some((OuterName::SlowMo, 0.5)));
    assert_eq!(one("--anderson 3").options.anderson, Some((3, 1e-8)));
    assert_eq!(one("--anderson 3 --anderson-lambda 0.5").options.anderson, Some((3, 0.5)));
    assert_eq!(one("--average ema").options.average, Some(AverageKind::Ema(0.99)));
    assert_eq!(one("--average swa --k 7").options.average, Some(AverageKind::Swa(7, 6)));
    assert_eq!(one("--average polyak --average-from 9").options.average, Some(AverageKind::Polyak(9)));
    assert_eq!(one("--half f16").options.loss_scale, Some(65536.0));
    assert_eq!(one("--half f16 --loss-scale off").options.loss_scale, None);
    assert_eq!(one("--half bf16").options.loss_scale, None);
    assert_eq!(one("--loss-scale 8").options.loss_scale, Some(8.0));
    assert_eq!(one("--loss-scale").options.loss_scale, Some(65536.0));
    assert_eq!(one("--rule momentum").rule.to_string(), "heavy-ball");
    let both = parse("--compare --adaptive --average ema --outer nesterov").unwrap();
    assert!(both[0].options.adaptive.is_none() && both[0].options.outer.is_none());
    assert!(both[0].options.average.is_some() && both[1].options.adaptive.is_some());
    let text = both[1].options.to_string();
    assert!(text.contains("adaptive") && text.contains("nesterov") && text.contains("ema"), "{text}");
}

#[test]
fn options_that_say_nothing_together_are_errors() {
    for words in [
        "--alpha-low 0.3",
        "--alpha-scope tensor",
        "--adaptive --alpha-low 0",
        "--adaptive diagonal",
        "--anderson 9",
        "--anderson-lambda 0.5",
        "--anderson 3 --adaptive",
        "--outer-momentum 0.5",
        "--average-decay 0.5",
        "--average swa --average-decay 0.5",
        "--average ema --average-every 3",
        "--average ema --average-from 3",
        "--average polyak --average-every 3",
        "--loss-scale high",
        "--accumulate 0",
        "--resume",
        "--compare --checkpoint a",
        "--checkpoint a --checkpoint-every 0",
        "--rule newton",
        "--sweep lr=0.1,0.2 --profile",
    ] {
        let message = parse(words).unwrap_err();
        let option = words.split_whitespace().rfind(|word| word.starts_with("--")).unwrap();
        assert!(message.contains(option), "{words}: {message}");
    }
}

#[test]
fn a_checkpoint_of_another_run_or_none_is_refused() {
    let folder = fresh_folder("checkpoints");
    let path = folder.join("run.ckpt");
    let journal = folder.join("run.ckpt.json");
    let at = |words: &str| Checkpoint::new(&path, "digits", &one(words)).unwrap();
    assert!(matches!(at("").start(true), Ok(None)));
    let history = History {
        name: "lookahead(adam)".to_owned(),
        rule: "adam".to_owned(),
        lookahead: None,
        losses: vec![2.0, f64::NAN, 0.1 + 0.2],
        samples: Vec::new(),
        alphas: Vec::new(),
        epochs: Vec::new(),
        batches: 0,
        memory: Memory::default(),
        guard: None,
        steps: 0,
        divergence: None,
        profile: None,
    };
    let gpu = gpu();
    let optimizer =
        Optimizer::builder(Sgd::new(0.1)).tensor("w", &[1]).build_blocking(&gpu.device, &gpu.queue);
    let snapshot = optimizer.unwrap().export_blocking().unwrap();
    at("--seed 3").keep(&snapshot, &history).unwrap();
    std::fs::write(&path, "another kind of file").unwrap();
    assert!(matches!(at("--seed 3").start(false), Err(CheckpointError::Exists { .. })));
    let message = at("--seed 4").start(true).unwrap_err().to_string();
    assert!(message.contains("seed 3, and 4"), "{message}");
    let message = at("--seed 3 --rule amsgrad").start(true).unwrap_err().to_string();
    assert!(message.contains("rule \"adam\", and \"amsgrad\""), "{message}");
    // These may change; what is wrong then is the file itself.
    let more = at("--seed 3 --epochs 99 --tests 5").start(true);
    assert!(matches!(more, Err(CheckpointError::Snapshot { .. })));
    let text = std::fs::read_to_string(&journal).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    let back: History = serde_json::from_value(kept["history"].clone()).unwrap();
    assert!(back.losses[1].is_nan() && back.losses[2].to_bits() == history.losses[2].to_bits());
    std::fs::write(&journal, "{").unwrap();
    assert!(matches!(at("--seed 3").start(true), Err(CheckpointError::History { .. })));
    std::fs::remove_file(&journal).unwrap();
    assert!(matches!(at("--seed 3").start(true), Err(CheckpointError::File { .. })));
    let nowhere = Checkpoint::new(&folder.join("none/run"), "digits", &one("")).unwrap();
    assert!(matches!(nowhere.keep(&snapshot, &history), Err(CheckpointError::Output(_))));
}

#[test]
fn every_kind_of_rule_is_known_by_its_name() {
    let kinds: Vec<_> = rules::kinds().collect();
    assert_eq!(RuleName::value_variants().len(), kinds.len());
    for (rule, kind) in RuleName::value_variants().iter().zip(kinds) {
        let name = kind.name.replace('_', "-");
        assert_eq!((rule.to_string(), rule.default_learning_rate()), (name.clone(), kind.learning_rate));
        assert_eq!(rule.rule(0.5).name(), kind.rule(0.5).name());
        assert_eq!(one(&format!("--rule {name}")).rule, *rule);
        let text = serde_json::to_string(rule).unwrap();
        assert_eq!((text.as_str(), serde_json::from_str(&text).ok()), (&*format!("\"{name}\""), Some(*rule)));
    }
    let message = serde_json::from_str::<RuleName>("\"newton\"").unwrap_err().to_string();
    assert!(message.contains("no rule `newton`") && message.contains("heavy-ball"), "{message}");
}
