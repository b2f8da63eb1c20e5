//! Groups of runs, and their means.

use experiments::draw::{Quantity, Spread, by_method};

use super::made::{SGD, record, sgd};
use experiments::run::method::{Inner, Method};

#[test]
fn by_all_but_the_seed() {
    let methods = [sgd(0.1, 0.9), sgd(0.1, 0.9).lookahead(5, 0.5), sgd(0.1, 0.9).lookahead(10, 0.5)];
    let records: Vec<_> = [0, 1]
        .iter()
        .flat_map(|&seed| methods.iter().map(move |method| record(method, seed, &[1.0], &[])))
        .collect();
    let groups = by_method(&records);
    let labels: Vec<_> = groups.iter().map(|group| group.label.as_str()).collect();
    assert_eq!(labels, ["SGD", "Lookahead(SGD), k = 5", "Lookahead(SGD), k = 10"]);
    for group in &groups {
        let seeds: Vec<_> = group.records.iter().map(|record| record.run.seed).collect();
        assert_eq!(seeds, [0, 1]);
    }
    assert!(by_method(&[]).is_empty());
}

#[test]
fn labels_have_every_setting_that_differs() {
    let adam = |beta2| Method::new(Inner::Adam { beta2, eps: 1e-8 }, 1e-3);
    let clipped = Method::new(SGD, 0.1).clip(0.25);
    let methods = [adam(0.999), adam(0.98), clipped, Method::new(SGD, 0.1).decay(0.001)];
    let mut records = methods.map(|method| record(&method, 0, &[1.0], &[])).to_vec();
    records.push(record(&adam(0.98), 0, &[1.0, 1.0], &[]));
    let labels: Vec<_> = by_method(&records).into_iter().map(|group| group.label).collect();
    let expected = [
        "Adam, 1 epoch, beta2 = 0.999",
        "Adam, 1 epoch, beta2 = 0.98",
        "SGD, decay = 0, clip = 0.25",
        "SGD, decay = 0.001, not clipped",
        "Adam, 2 epochs, beta2 = 0.98",
    ];
    assert_eq!(labels, expected);
}

#[test]
fn means_end_where_a_seed_does() {
    let method = sgd(0.1, 0.9);
    let mut records = [
        record(&method, 0, &[3.0, 2.0, 1.0, 1.0], &[10.0, 20.0, 30.0, 40.0]),
        record(&method, 1, &[5.0, 4.0, f64::NAN, 1.0], &[12.0, 22.0, 32.0, 42.0]),
    ];
    let losses = by_method(&records)[0].by_epoch(Quantity::ValidLoss);
    let spread = |mean| Spread {
        count: 2,
        mean,
        deviation: Some(2f64.sqrt()),
        least: mean - 1.0,
        greatest: mean + 1.0,
    };
    assert_eq!(losses, [(1, spread(4.0)), (2, spread(3.0))]);

    // A score that was not measured is left out; an epoch that was not reached ends the curve.
    records[0].history[1].valid.score = None;
    records[1].history.truncate(3);
    let scores = by_method(&records)[0].by_epoch(Quantity::ValidScore);
    let epochs: Vec<_> = scores.iter().map(|(epoch, spread)| (*epoch, spread.mean)).collect();
    assert_eq!(epochs, [(1, 11.0), (3, 31.0)]);
}

#[test]
fn spreads_by_hand() {
    let spread = Spread::of(&[1.0, 2.0, 6.0]).unwrap();
    assert_eq!((spread.count, spread.mean, spread.least, spread.greatest), (3, 3.0, 1.0, 6.0));
    // (4 + 1 + 9) / 2 = 7.
    assert_eq!(spread.deviation, Some(7f64.sqrt()));
    assert_eq!(Spread::of(&[4.0]).unwrap().deviation, None);
    assert_eq!(Spread::of(&[]), None);
    assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
    assert_eq!(Spread::of(&[1.0, f64::INFINITY]), None);
}
