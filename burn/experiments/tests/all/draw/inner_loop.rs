//! Steps within the inner loop.

use experiments::draw::inner_loop::draw;
use experiments::draw::{DrawError, Measure, Quantity};
use experiments::run::record::Record;

use super::check;
use super::made::{probe, record, sgd};

fn accuracy() -> Measure {
    Measure::new(Quantity::ValidScore, "validation accuracy (%)")
}

fn looked_into() -> Record {
    Record { probe: Some(probe(5, 4)), ..record(&sgd(0.1, 0.9).lookahead(5, 0.5), 0, &[1.0], &[]) }
}

#[test]
fn every_step_has_a_dot() {
    let picture = draw(&looked_into(), &[accuracy()]).unwrap();
    assert_eq!(picture.size(), (1000, 600));
    check(&picture);
    // 20 fast and 5 slow ones, and two in the legend.
    assert_eq!(picture.svg().unwrap().matches("<circle").count(), 27);
    check(&draw(&looked_into(), &[accuracy(), Measure::new(Quantity::ValidLoss, "loss").log()]).unwrap());
}

#[test]
fn what_is_not_finite_has_none() {
    let mut record = looked_into();
    if let Some(probe) = &mut record.probe {
        probe.steps[3].scores.score = Some(f64::NAN);
        probe.steps[4].scores.score = None;
    }
    let picture = draw(&record, &[accuracy()]).unwrap();
    check(&picture);
    assert_eq!(picture.svg().unwrap().matches("<circle").count(), 25);
    if let Some(probe) = &mut record.probe {
        probe.steps.truncate(1);
    }
    check(&draw(&record, &[accuracy()]).unwrap());
}

#[test]
fn equal_scores() {
    let mut record = looked_into();
    if let Some(probe) = &mut record.probe {
        probe.steps.iter_mut().for_each(|inside| inside.scores.score = Some(90.0));
    }
    check(&draw(&record, &[accuracy()]).unwrap());
}

#[test]
fn what_cannot_be_drawn() {
    let mut record = looked_into();
    assert!(matches!(draw(&record, &[]), Err(DrawError::Panels(0))));
    let training = draw(&record, &[Measure::new(Quantity::TrainLoss, "training loss")]);
    assert!(matches!(training, Err(DrawError::NothingFinite { .. })));
    if let Some(probe) = &mut record.probe {
        probe.steps.clear();
    }
    assert!(matches!(draw(&record, &[accuracy()]), Err(DrawError::NothingFinite { .. })));
    record.probe = None;
    let words =
        "the run of Lookahead(SGD) lr=0.1 momentum=0.9 k=5 alpha=0.5 was not looked into: it has no probe";
    assert_eq!(draw(&record, &[accuracy()]).unwrap_err().to_string(), words);
}
