//! Heat maps by two settings.

use experiments::draw::grid::{Setting, draw};
use experiments::draw::{DrawError, Measure, Quantity};
use experiments::run::method::{Inner, Method};

use super::check;
use super::made::{record, sgd};

fn accuracy() -> Measure {
    Measure::new(Quantity::ValidScore, "validation accuracy (%)")
}

#[test]
fn numbers_are_means_over_seeds() {
    let mut records = Vec::new();
    for (rate, score) in [(0.1, 90.0), (0.2, 92.0)] {
        for method in [sgd(rate, 0.9), sgd(rate, 0.9).lookahead(5, 0.5)] {
            records.extend(
                (0..2u32).map(|seed| record(&method, seed.into(), &[1.0], &[score + f64::from(seed)])),
            );
        }
    }
    let picture = draw(&records, Setting::Rate, Setting::Momentum, &accuracy()).unwrap();
    check(&picture);
    let svg = picture.svg().unwrap();
    for number in ["90.50", "92.50"] {
        assert_eq!(svg.matches(&format!("\n{number}\n")).count(), 2, "{number}");
    }
    for words in ["SGD", "Lookahead(SGD)", "momentum", "inner learning rate", "validation accuracy (%)"] {
        assert!(svg.contains(&format!("\n{words}\n")), "{words}");
    }
}

#[test]
fn missing_and_diverged_cells_are_named() {
    let nan = f64::NAN;
    let with = |k, alpha| sgd(0.1, 0.9).lookahead(k, alpha);
    let mut records = vec![
        record(&with(5, 0.2), 0, &[1.0], &[90.0]),
        record(&with(5, 0.5), 0, &[nan], &[10.0]),
        record(&with(5, 0.5), 1, &[1.0], &[90.0]),
        record(&with(10, 0.2), 0, &[1.0, 1.0], &[90.0, 91.0]),
    ];
    // Not over.
    records[3].history.pop();
    let picture = draw(&records, Setting::K, Setting::Alpha, &accuracy()).unwrap();
    check(&picture);
    let svg = picture.svg().unwrap();
    assert_eq!(svg.matches("\nno run\n").count(), 1);
    assert_eq!(svg.matches("\n1 of 2\n").count(), 1);
    assert_eq!(svg.matches("\ndiverged\n").count(), 2);
    // One value alone has a colour, too.
    assert_eq!(svg.matches("\n90.00\n").count(), 1);
}

#[test]
fn what_cannot_be_drawn() {
    let none = draw(&[], Setting::K, Setting::Alpha, &accuracy()).unwrap_err();
    assert_eq!(none.to_string(), "no runs for k by alpha");

    let adam = Method::new(Inner::AdamW, 0.1);
    let missing = draw(&[record(&adam, 0, &[1.0], &[])], Setting::Rate, Setting::Momentum, &accuracy());
    assert_eq!(missing.unwrap_err().to_string(), "the run of AdamW lr=0.1 has no momentum");

    let records = [record(&sgd(0.1, 0.9), 0, &[1.0], &[]), record(&sgd(0.1, 0.9).decay(0.1), 0, &[1.0], &[])];
    let same = draw(&records, Setting::Rate, Setting::Momentum, &accuracy()).unwrap_err();
    let words = "`SGD, decay = 0` and `SGD, decay = 0.1` would be in the same cell";
    assert_eq!(same.to_string(), words);

    let records = [record(&sgd(0.1, 0.9), 0, &[f64::NAN], &[])];
    let nothing = draw(&records, Setting::Rate, Setting::Momentum, &accuracy());
    assert!(matches!(nothing, Err(DrawError::NothingFinite { .. })));
}
