use crate::support::values;
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::Device;
use experiments::data::help;
use experiments::data::pairs::Pair;
use experiments::data::split::Parts;
use experiments::data::subwords::{BEGIN_NUMBER, END_NUMBER};
use experiments::models::transformer::{Transformer, TransformerConfig};
use experiments::run::record::Scores;
use experiments::task::{Part, Task};
use experiments::tasks::translation::{Encoded, Settings, Translation};
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

const SENTENCES: usize = 200;

fn settings() -> Settings {
    let base = TransformerConfig::base(0);
    let small = TransformerConfig { features: 32, inner: 64, heads: 4, layers: 1, dropout: 0.0, ..base };
    let model = TransformerConfig { norm_first: true, ..small };
    Settings { words: 32, longest: 8, batch: 16, smoothing: 0.1, beam: 1, model, seed: 3 }
}

/// Sentences of two to six of eight words, to be copied. Those to choose settings by are some to train on.
fn parts() -> Parts {
    let word = |index: usize| ["a", "b", "c", "d", "e", "f", "g", "h"][index % 8];
    let sentence = |index: usize| {
        let words =
            (0..2 + index % 5).map(|place| word(index * (place + 3) + index / 7 * place + place * place));
        words.collect::<Vec<_>>().join(" ")
    };
    let pair = |index| Pair { source: sentence(index), target: sentence(index) };
    let pairs = |range: std::ops::Range<usize>| range.map(pair).collect();
    Parts { train: pairs(0..SENTENCES), valid: pairs(0..10), test: pairs(SENTENCES..220) }
}

fn device() -> Device {
    let device = Device::flex().autodiff();
    device.seed(5);
    device
}

fn task(settings: Settings) -> Translation {
    Translation::new(parts(), settings).expect("a task")
}

fn trained(task: &mut Translation, steps: u64) -> (Transformer, Vec<f32>) {
    let mut model = task.model(&device());
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let mut losses = Vec::new();
    for step in 0..steps {
        let loss = task.loss(&model, step).expect("a loss");
        losses.extend(values(loss.clone()));
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
    (model, losses)
}

#[test]
fn copying_is_learned() {
    let mut task = task(settings());
    let (model, losses) = trained(&mut task, 500);
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    assert!(mean(&losses[40..60]) < 0.7 * losses[0], "{losses:?}");
    let model = model.valid();
    // Sentences that it was trained on, and others.
    assert!(
        task.examples(&model, Part::Valid, 10).iter().all(|example| example.hypothesis == example.source)
    );
    let Scores { loss, score } = task.evaluate(&model, Part::Test).expect("scores");
    assert!(loss < 0.5 && score.is_some_and(|bleu| (80.0..100.1).contains(&bleu)), "{loss} {score:?}");
    assert_eq!(task.evaluate(&model, Part::Valid).expect("scores").score, None);
}

#[test]
fn examples_are_from_all_over_a_part() {
    let task = task(settings());
    let model = task.model(&device()).valid();
    let sources = |count| task.examples(&model, Part::Test, count).into_iter().map(|example| example.source);
    let all: Vec<_> = parts().test.into_iter().map(|pair| pair.source).collect();
    assert_eq!(sources(100).collect::<Vec<_>>(), all);
    assert!(sources(4).eq(all.iter().step_by(5).cloned()));
}

#[test]
#[ignore = "takes Debian's libreoffice-help-en-us and libreoffice-help-de"]
fn libreoffices_help_is_a_task() {
    let root = PathBuf::from(std::env::var("EXPERIMENTS_ROOT").unwrap_or("/".to_owned()));
    let [source, target] =
        ["en-US", "de"].map(|language| root.join("usr/share/libreoffice/help").join(language));
    let parts = Parts::by_source(help::pairs(&source, &target).expect("pairs"), 40);
    let [train, valid, test] =
        [&parts.train, &parts.valid, &parts.test].map(|part| part.iter().map(|pair| &*pair.source).collect());
    let [train, valid, test]: [HashSet<&str>; 3] = [train, valid, test];
    assert!(train.is_disjoint(&valid) && train.is_disjoint(&test) && valid.is_disjoint(&test));
    let task = Translation::new(parts.clone(), Settings { words: 4_000, longest: 32, ..settings() })
        .expect("a task");
    println!("{:?} of {:?}", task.sizes(), [parts.train.len(), parts.valid.len(), parts.test.len()]);
    assert_eq!(task.subwords().vocabulary().len(), 4_000);
    for text in parts.train.iter().flat_map(|pair| [&pair.source, &pair.target]) {
        let expected = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(task.subwords().decode(&task.subwords().encode(text)), expected);
    }
}

/// The batches of the steps.
fn batches(task: &mut Translation, steps: std::ops::Range<u64>) -> Vec<Vec<Encoded>> {
    steps.map(|step| task.batch(step).into_iter().cloned().collect()).collect()
}

#[test]
fn an_epoch_has_every_pair_once() {
    let mut task = task(settings());
    assert_eq!((task.sizes(), task.epoch_steps()), ([SENTENCES, 10, 20], 13));
    let subwords = task.subwords().clone();
    let mut expected: Vec<_> = parts().train.iter().map(|pair| subwords.encode(&pair.source)).collect();
    expected.sort();
    let mut epochs = Vec::new();
    for epoch in 0..3 {
        let batches = batches(&mut task, 13 * epoch..13 * (epoch + 1));
        let pairs: Vec<_> = batches.concat();
        let mut found: Vec<_> =
            pairs.iter().map(|pair| pair.source[..pair.source.len() - 1].to_vec()).collect();
        found.sort();
        assert_eq!(found, expected);
        assert!(pairs.iter().all(|pair| pair.source.last() == Some(&END_NUMBER)));
        assert!(pairs.iter().all(|pair| pair.target[0] == BEGIN_NUMBER && pair.target[1..] == pair.source));
        epochs.push(batches);
    }
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
}

#[test]
fn sentences_of_a_batch_are_of_like_length() {
    let mut task = task(settings());
    let batches = batches(&mut task, 0..13);
    let lengths = |batch: &Vec<Encoded>| batch.iter().map(|pair| pair.target.len()).collect::<BTreeSet<_>>();
    assert!(batches.iter().all(|batch| lengths(batch).len() <= 2));
    // In no order of their lengths.
    let shortest: Vec<_> = batches.iter().map(|batch| lengths(batch).first().copied()).collect();
    assert!(!shortest.is_sorted());
}

#[test]
fn batches_depend_on_the_seed_and_the_step_alone() {
    let mut first = task(settings());
    let expected = batches(&mut first, 0..30);
    // Another one of the same, from the middle on, and back.
    let mut second = task(settings());
    assert_eq!(batches(&mut second, 20..30), expected[20..]);
    assert_eq!(batches(&mut second, 0..20), expected[..20]);
    assert_ne!(batches(&mut task(Settings { seed: 4, ..settings() }), 0..30), expected);
    // In any process: a sentence of each epoch's first batch.
    let text = |batch: &Vec<Encoded>| first.subwords().decode(&batch[0].source[..batch[0].source.len() - 1]);
    assert_eq!(
        expected.iter().step_by(13).map(text).collect::<Vec<_>>(),
        ["b h h b", "g b g f", "f b h h b f"]
    );
}

#[test]
fn the_loss_is_a_mean_over_words() {
    // One batch, which much of is filled up, and sentences one by one.
    let mut together = task(Settings { batch: SENTENCES, smoothing: 0.0, ..settings() });
    let mut apart = task(Settings { batch: 1, smoothing: 0.0, ..settings() });
    let model = together.model(&device()).valid();
    let whole = together.loss(&model, 0).expect("a loss").into_scalar::<f64>();
    let (mut sum, mut words) = (0.0, 0);
    for step in 0..SENTENCES as u64 {
        let count = apart.batch(step)[0].target.len() - 1;
        sum += apart.loss(&model, step).expect("a loss").into_scalar::<f64>() * count as f64;
        words += count;
    }
    let expected = sum / words as f64;
    assert!((whole - expected).abs() < 1e-5, "{whole} {expected}");
}

#[test]
fn scores_do_not_depend_on_the_batches() {
    let tasks = [1, 3, 100].map(|batch| task(Settings { batch, beam: 2, ..settings() }));
    let model = tasks[0].model(&device()).valid();
    let [first, second, third] =
        tasks.each_ref().map(|task| task.evaluate(&model, Part::Test).expect("scores"));
    for other in [second, third] {
        assert!((first.loss - other.loss).abs() < 1e-5, "{first:?} {other:?}");
        assert_eq!(first.score, other.score);
    }
    // Before training all words are about as probable; smoothing is of the training alone.
    let words = tasks[0].subwords().vocabulary().len() as f64;
    assert!((first.loss - words.ln()).abs() < 1.0, "{first:?}");
    let smoothed =
        task(Settings { smoothing: 0.5, ..settings() }).evaluate(&model, Part::Valid).expect("scores");
    assert!((smoothed.loss - tasks[0].evaluate(&model, Part::Valid).expect("scores").loss).abs() < 1e-5);
}

#[test]
fn long_pairs_are_left_out() {
    let task = task(Settings { longest: 5, ..settings() });
    let is_short = |pair: &&Pair| task.subwords().encode(&pair.source).len() <= 5;
    let Parts { train, valid, test } = parts();
    let expected = [train, valid, test].map(|part| part.iter().filter(is_short).count());
    assert!(task.sizes() == expected && (1..SENTENCES).contains(&expected[0]));
}

#[test]
fn too_few_pairs_are_told() {
    let message = |parts, settings| Translation::new(parts, settings).expect_err("an error").to_string();
    let text = message(parts(), Settings { batch: 201, ..settings() });
    assert!(text.contains("a batch to train on needs at least 201 pairs") && text.contains("200"), "{text}");
    let text = message(parts(), Settings { longest: 0, batch: 1, ..settings() });
    assert!(text.contains("and there are 0"), "{text}");
    let text = message(Parts { valid: vec![], ..parts() }, settings());
    assert!(text.contains("choose settings by"), "{text}");
    let text = message(Parts { test: vec![], ..parts() }, settings());
    assert!(text.contains("held out"), "{text}");
}
