//! Curves by epoch.

use experiments::draw::{DrawError, Measure, Quantity, by_method, curves};
use experiments::run::method::Method;

use super::check;
use super::made::{record, sgd, trained};

fn accuracy() -> Measure {
    Measure::new(Quantity::ValidScore, "validation accuracy (%)")
}

fn loss() -> Measure {
    Measure::new(Quantity::TrainLoss, "training loss").log()
}

fn methods() -> [Method; 2] {
    [sgd(0.1, 0.9), sgd(0.1, 0.9).lookahead(5, 0.5)]
}

#[test]
fn two_panels() {
    let records: Vec<_> =
        methods().iter().flat_map(|method| (0..3).map(|seed| trained(method, seed, 30, 0.2))).collect();
    let groups = by_method(&records);
    let picture = curves::draw(&groups, &[accuracy(), loss()]).unwrap();
    assert_eq!(picture.size(), (1200, 600));
    check(&picture);
    let svg = picture.svg().unwrap();
    for words in ["Lookahead(SGD)", "validation accuracy (%)", "training loss", "epoch", "mean of 3 seeds"] {
        assert!(svg.contains(words), "{words}");
    }
    // A band for each method and panel, where the seeds differ.
    assert_eq!(svg.matches("<polygon").count(), 4);
}

#[test]
fn one_panel_in_a_given_range() {
    let records = [trained(&sgd(0.1, 0.9), 0, 30, 0.2)];
    let picture = curves::draw(&by_method(&records), &[accuracy().range(90.0, 96.0)]).unwrap();
    assert_eq!(picture.size(), (800, 600));
    check(&picture);
    let svg = picture.svg().unwrap();
    assert!(svg.contains("\n90\n") && svg.contains("\n96\n"), "{svg}");
    // One seed has no band, and needs no words about it.
    assert!(!svg.contains("<polygon") && !svg.contains("seeds"));
}

#[test]
fn one_epoch() {
    let records = methods().map(|method| record(&method, 0, &[1.0], &[50.0]));
    check(&curves::draw(&by_method(&records), &[accuracy(), loss()]).unwrap());
}

#[test]
fn many_methods_with_long_names() {
    let rates = (1..=20).map(|i| 0.0123 * f64::from(i));
    let method = |rate: f64| sgd(rate, rate).decay(rate).adaptive((rate * 1000.0) as u32, rate).clip(rate);
    let records: Vec<_> = rates.map(|rate| trained(&method(rate), 0, 30, 0.2)).collect();
    let picture = curves::draw(&by_method(&records), &[accuracy()]).unwrap();
    check(&picture);
    // Names that are cut short, one a row, above a panel of the usual height.
    assert!(picture.size().1 > 1000);
    assert_eq!(picture.svg().unwrap().matches("…").count(), 20);
}

#[test]
fn a_run_that_diverges_ends_and_is_named() {
    let [alone, with] = methods();
    let nan = f64::NAN;
    let records = [
        record(&alone, 0, &[2.0, 1.0, nan, nan], &[10.0, 20.0, 10.0, 10.0]),
        record(&alone, 1, &[2.0, 1.0, 0.5, 0.4], &[10.0, 20.0, 30.0, 40.0]),
        record(&with, 0, &[2.0, 1.0, 0.5, f64::INFINITY], &[10.0, 20.0, 30.0, 40.0]),
    ];
    let picture = curves::draw(&by_method(&records), &[accuracy(), loss()]).unwrap();
    check(&picture);
    let svg = picture.svg().unwrap();
    assert!(svg.contains("SGD (1 of 2 diverged)") && svg.contains("Lookahead(SGD) (diverged)"));
}

#[test]
fn the_greatest_numbers() {
    let records = [record(&sgd(0.1, 0.9), 0, &[1.0, f64::MAX, f64::MAX], &[])];
    for measure in [loss(), Measure::new(Quantity::TrainLoss, "training loss")] {
        check(&curves::draw(&by_method(&records), &[measure]).unwrap());
    }
}

#[test]
fn what_cannot_be_drawn() {
    assert_eq!(curves::draw(&[], &[loss()]).unwrap_err().to_string(), "no runs for curves");
    let records = [record(&sgd(0.1, 0.9), 0, &[f64::NAN, -1.0], &[])];
    let groups = by_method(&records);
    assert!(matches!(curves::draw(&groups, &[]), Err(DrawError::Panels(0))));
    assert!(matches!(curves::draw(&groups, &[loss(), loss(), loss()]), Err(DrawError::Panels(3))));
    for measure in [loss(), accuracy()] {
        let problem = curves::draw(&groups, std::slice::from_ref(&measure)).unwrap_err();
        assert_eq!(problem.to_string(), format!("the runs for curves have no finite {}", measure.label));
    }
    let none = [record(&sgd(0.1, 0.9), 0, &[], &[])];
    assert!(matches!(curves::draw(&by_method(&none), &[loss()]), Err(DrawError::NothingFinite { .. })));
}
