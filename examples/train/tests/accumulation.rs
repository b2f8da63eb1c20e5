//! Several batches a step: each image has the same weight, and none is left out.

use crate::{rule, trained, turn, twin};
use lookahead_test_support::{gpu, on_every_adapter};
use lookahead_wgpu::gpu::Gpu;
use rand::seq::SliceRandom;
use train::batches::{Batches, Images};
use train::data::{CLASSES, Dataset, Split};
use train::driver::{Checkpoints, Workbench};
use train::history::History;
use train::model::{Network, random_streams};
use train::options::{Adaptive, CurvatureName, GradientName, Options, ScopeName};
use train::report;
use train::run::{self, Run};
use train::settings::{PolicyName, Settings};

const IMAGES: usize = 1437;

fn settings(batch: u32, accumulate: Option<u32>) -> Settings {
    Settings {
        rule: rule("sgd"),
        learning_rate: 0.2,
        lookahead: None,
        options: Options { accumulate, ..Options::default() },
        hidden: vec![20],
        epochs: 2,
        batch,
        seed: 5,
        tests_each_epoch: 1,
    }
}

fn bench(gpu: &Gpu) -> Workbench {
    Workbench::new(gpu.clone(), &Dataset::digits().unwrap()).unwrap()
}

fn train(bench: &Workbench, settings: &Settings) -> History {
    bench.train(settings, &mut |_| ()).unwrap()
}

/// The losses of all batches, by the twin in f64: a step descends along the mean gradient of all its images.
fn twin_losses(how: &Settings) -> Vec<f64> {
    let digits = Dataset::digits().unwrap();
    let sizes = [digits.pixels(), how.hidden[0], CLASSES];
    let network = Network::new(sizes[0], &how.hidden, CLASSES).unwrap();
    let [mut random, mut order_random] = random_streams(how.seed);
    let values = network.initial_values(&mut random);
    let mut parameters: Vec<Vec<f64>> =
        values.iter().map(|tensor| tensor.iter().map(|&value| f64::from(value)).collect()).collect();
    let pass = |parameters: &[Vec<f64>], images: &[u32]| {
        let rows = images.iter().flat_map(|&i| &digits.train.pixels[i as usize * sizes[0]..][..sizes[0]]);
        let inputs: Vec<f64> = rows.map(|&byte| f64::from(f32::from(byte) * digits.scale)).collect();
        let labels: Vec<u8> = images.iter().map(|&i| digits.train.labels[i as usize]).collect();
        twin::pass(&sizes, parameters, &inputs, &labels)
    };
    let mut order: Vec<u32> = (0..digits.train.len() as u32).collect();
    let mut losses = Vec::new();
    for _ in 0..how.epochs {
        order.shuffle(&mut order_random);
        for step in order.chunks((how.batch * how.options.micro_batches()) as usize) {
            losses.extend(step.chunks(how.batch as usize).map(|batch| pass(&parameters, batch).loss));
            let gradients = pass(&parameters, step).gradients;
            for (tensor, gradient) in parameters.iter_mut().zip(gradients) {
                let pairs = tensor.iter_mut().zip(gradient);
                pairs.for_each(|(value, slope)| *value -= how.learning_rate * slope);
            }
        }
    }
    losses
}

/// 23 batches of 64, the last of 29 images: five steps of four, and one of three.
#[test]
fn every_image_of_an_epoch_has_the_same_weight() {
    let _turn = turn();
    let mut cases = Vec::new();
    for (batch, accumulate, steps) in [(64, 4, 6), (100, 7, 3), (64, 23, 1), (700, 2, 2), (64, 1000, 1)] {
        let plain = settings(batch, Some(accumulate));
        let expected = twin_losses(&plain);
        // What a guard makes of a short step does not depend on how short it is.
        if accumulate == 4 {
            let of = |options| Settings { options, ..plain.clone() };
            let guarded = of(Options { guard: true, ..plain.options.clone() });
            let scaled = of(Options { loss_scale: Some(64.0), ..plain.options.clone() });
            cases.extend([guarded, scaled].map(|how| (how, steps, expected.clone())));
        }
        cases.push((plain, steps, expected));
    }
    on_every_adapter(|gpu| {
        let bench = bench(gpu);
        for (how, steps, expected) in &cases {
            let history = train(&bench, how);
            let what = format!("{} images, {:?}", how.batch, how.options);
            assert_eq!(history.steps, 2 * steps, "{what}");
            assert_eq!(history.losses.len(), expected.len(), "{what}");
            for (found, expected) in history.losses.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4 * expected, "{what}: {found}, not {expected}");
            }
        }
    });
}

/// Batches of any size make the steps that one large batch makes.
#[test]
fn however_an_epoch_is_cut_its_steps_are_the_same() {
    let bench = &bench(gpu());
    let whole = train(bench, &settings(IMAGES as u32, None));
    for (batch, accumulate) in [(64, 23), (64, 1000), (1000, 2), (20, u32::MAX)] {
        let parts = train(bench, &settings(batch, Some(accumulate)));
        assert_eq!(parts.steps, 2);
        for (found, expected) in parts.epochs.iter().zip(&whole.epochs) {
            assert!((found.train_loss - expected.train_loss).abs() < 1e-5, "{batch}");
            assert!((found.test_loss - expected.test_loss).abs() < 1e-5, "{batch}");
        }
    }
    // Pairs of 32 are 64, the last of an epoch's too.
    let pairs = train(bench, &settings(32, Some(2)));
    let whole = train(bench, &settings(64, None));
    assert_eq!((pairs.losses.len(), pairs.steps, whole.steps), (2 * 45, 46, 46));
    for (found, expected) in pairs.epochs.iter().zip(&whole.epochs) {
        assert!((found.train_loss - expected.train_loss).abs() < 1e-5);
    }
}

#[test]
fn a_resumed_run_with_short_steps_stays_on_its_curve_to_the_bit() {
    let bench = bench(gpu());
    let adaptive = Adaptive {
        curvature: CurvatureName::Corrected,
        alpha_low: 0.2,
        scope: ScopeName::Model,
        gradient: GradientName::Synchronised,
    };
    for accumulate in [4, 1000] {
        for (guard, adaptive) in [(false, Some(adaptive)), (true, None)] {
            let options = Options { accumulate: Some(accumulate), guard, adaptive, ..Options::default() };
            let how = Settings {
                rule: rule("adam"),
                learning_rate: 0.01,
                lookahead: Some((2, 0.5, PolicyName::Maintain)),
                options,
                ..settings(64, None)
            };
            let (whole, kept) = trained(&bench, &how, 1);
            assert_eq!(kept.len(), 46);
            assert_eq!(whole.losses, bench.train(&how, &mut |_| ()).unwrap().losses);
            // Around the end of an epoch, and in the middle of a step.
            for batches in [2, 22, 23, 24, 46] {
                let (snapshot, history) = &kept[batches - 1];
                assert_eq!(history.losses.len(), batches);
                let start = Some((snapshot.clone(), history.clone()));
                let checkpoints = Checkpoints { start, every: 1000, keep: &mut |_, _| Ok(()) };
                let resumed = bench.train_with(&how, checkpoints, &mut |_| ()).unwrap();
                let what = format!("{:?}, from batch {batches} on", how.options);
                assert_eq!(resumed.losses, whole.losses, "{what}");
                assert_eq!(resumed.samples, whole.samples, "{what}");
                assert_eq!(resumed.steps, whole.steps, "{what}");
            }
        }
    }
}

#[test]
fn what_makes_a_step_is_said_and_what_takes_none_too() {
    let said = |batch, accumulate| report::accumulated(IMAGES, &settings(batch, accumulate));
    assert_eq!(said(64, None), None);
    assert_eq!(said(64, Some(4)).unwrap(), "an epoch's 23 batches make 6 steps, the last of 3 batches");
    assert_eq!(said(1437, Some(1)).unwrap(), "an epoch's 1 batch make 1 step");
    assert_eq!(said(160, Some(3)).unwrap(), "an epoch's 9 batches make 3 steps");
    let one = said(64, Some(1000)).unwrap();
    assert_eq!(one, "an epoch's 23 batches make 1 step, since there are no more than 23");

    let bench = &bench(gpu());
    let late = Settings { lookahead: Some((5, 0.5, PolicyName::Maintain)), ..settings(64, Some(1000)) };
    let words = report::idle(&train(bench, &late)).unwrap();
    assert!(words.contains("no sync") && words.contains("2 steps") && words.contains("k is 5"), "{words}");
    assert_eq!(report::idle(&train(bench, &settings(64, Some(1000)))), None);
}

/// 65,536 epochs of 65,536 batches are 2^32: more than 32 bits count.
#[test]
fn batches_are_counted_in_64_bits() {
    let gpu = gpu();
    let count = 1 << 16;
    let split = Split { pixels: vec![1; count], labels: vec![3; count] };
    let test = Split { pixels: vec![1; 4], labels: vec![3; 4] };
    let dataset =
        Dataset { name: "many".to_owned(), width: 1, height: 1, scale: 1.0, train: split.clone(), test };
    let how = Settings { epochs: 1 << 16, hidden: vec![], ..settings(1, None) };
    pollster::block_on(async {
        let bench = run::Workbench::new(gpu, &dataset).await.unwrap();
        let mut run = Run::new(&bench, &how).await.unwrap();
        assert_eq!(run.total(), 1 << 32);
        assert!(!run.is_done());
        run.submit(3).await.unwrap();
        assert_eq!(run.done(), 3);

        let images = Images::upload(&gpu.device, &gpu.queue, &split, 1.0).await.unwrap();
        let batches = Batches::new(&gpu.device, &images, 1).await.unwrap().in_steps_of(3);
        assert_eq!((batches.count(), batches.steps()), (1 << 16, 21_846));
        assert_eq!(batches.of_steps(21_846 * (1 << 17) + 5), (1 << 33) + 15);
        assert_eq!(batches.of_steps(u64::MAX), u64::MAX);
    });
}
