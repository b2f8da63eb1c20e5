//! The minimum, the kernel's gradients, and what the methods come to.

use clap::{CommandFactory, Parser};
use logistic::{
    arguments::Arguments,
    data::{Data, FEATURES},
    gradients::Gradients,
    method::Method,
    minimum::{gradient, minimum},
    program, report,
    run::{Settings, run},
};
use lookahead_test_support::{buffer, gpu, read_slice, submit};
use lookahead_wgpu::Slice;

const SETTINGS: Settings = Settings { passes: 60, batch: 8, rate: 0.05, lambda: 0.1, seed: 3 };

#[test]
fn the_data_are_standardised() {
    let data = Data::read().unwrap();
    assert_eq!((data.samples(), data.labels.iter().filter(|label| **label == 1.0).count()), (569, 357));
    for feature in 0..FEATURES - 1 {
        let values: Vec<f64> = data.features.iter().map(|sample| sample[feature]).collect();
        let mean = values.iter().sum::<f64>() / 569.0;
        let variance = values.iter().map(|value| value * value).sum::<f64>() / 569.0;
        assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-12, "{mean} {variance}");
    }
    assert!(data.features.iter().all(|sample| sample[FEATURES - 1] == 1.0));
}

#[test]
fn the_gradient_vanishes_at_the_minimum_and_the_kernel_finds_it_elsewhere() {
    let (data, gpu) = (Data::read().unwrap(), gpu());
    let least = minimum(&data, 0.1);
    assert!(gradient(&data, &least, 0.1).iter().all(|value| value.abs() < 1e-13));
    let w: [f64; FEATURES] = std::array::from_fn(|i| f64::from((0.3 * (i as f64).sin()) as f32));
    let narrow = w.map(|value| value as f32);
    let weights = buffer(gpu, 4 * FEATURES as u64);
    gpu.queue.write_buffer(&weights, 0, bytemuck::cast_slice(&narrow));
    let batches: Vec<u32> = (0..569).rev().collect();
    let kernel = Gradients::new(gpu, &data, &batches, 569, 0.1);
    for is_full in [true, false] {
        let found = buffer(gpu, 4 * FEATURES as u64);
        let at = kernel.at(gpu, is_full, &Slice::whole(&weights), &Slice::whole(&found));
        submit(gpu, |encoder| kernel.record(encoder, [&at]));
        let expected = gradient(&data, &w, 0.1);
        for (found, expected) in read_slice(gpu, &Slice::whole(&found)).iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 2e-6, "{found}, not {expected}");
        }
    }
}

/// Variance is what keeps descent away from the minimum, and Lookahead at a distance.
#[test]
fn methods_that_reduce_variance_converge() {
    let data = Data::read().unwrap();
    let least = minimum(&data, SETTINGS.lambda);
    let last = |method| run(gpu(), &data, &least, &SETTINGS, method).unwrap().pop().unwrap();
    let [sgd, lookahead, svrg, over, katyusha] = Method::ALL.map(last);
    assert!(sgd.distance > 5e-3 && lookahead.distance > 1e-3, "{sgd:?} {lookahead:?}");
    assert!(svrg.distance < 2e-3 && katyusha.distance < 2e-3, "{svrg:?} {katyusha:?}");
    assert!(over.distance < 0.2, "{over:?}");
    for point in [sgd, lookahead, svrg, over, katyusha] {
        assert!((57.0..=63.0).contains(&point.passes), "{point:?}");
    }
}

#[test]
fn the_command_line() {
    let arguments = Arguments::try_parse_from(["logistic", "--rate", "0.1", "--json", "a.json"]).unwrap();
    assert_eq!((arguments.rate, arguments.batch), (0.1, 8));
    for bad in [["--batch", "0"], ["--batch", "570"], ["--lambda", "0"], ["--passes", "0"], ["--rate", "x"]] {
        assert!(Arguments::try_parse_from(["logistic", bad[0], bad[1]]).is_err(), "{bad:?}");
    }
    assert!(Arguments::command().render_long_help().to_string().contains("cargo run --release -p logistic"));
    let words = ["logistic", "--out", "figures", "--json", "figures/logistic.csv"];
    let shared = Arguments::try_parse_from(words).unwrap();
    assert!(train::paths::check(&program::claims(&shared)).is_err());
}

#[test]
fn the_figure_is_drawn() {
    let point =
        |method: Method, passes, distance| logistic::run::Point { method: method.name(), passes, distance };
    let points = Method::ALL.map(|method| [point(method, 0.0, 1.0), point(method, 20.0, 1e-3)]).concat();
    assert!(report::figure(&points, &SETTINGS).svg().unwrap().contains("SVRG"));
    let table = report::table(&points, &SETTINGS);
    assert!(table.contains("Lookahead(SVRG)") && table.lines().count() == 13, "{table}");
}
