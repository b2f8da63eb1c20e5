//! Scores on a plane.

use experiments::draw::plane::draw;
use experiments::draw::{DrawError, Measure, Quantity};
use experiments::run::record::{Plane, Record};

use super::check;
use super::made::{probe, record, sgd};

fn accuracy() -> Measure {
    Measure::new(Quantity::ValidScore, "validation accuracy (%)")
}

fn with(change: impl Fn(&mut Plane)) -> Record {
    let mut probe = probe(5, 1);
    change(&mut probe.plane);
    Record { probe: Some(probe), ..record(&sgd(0.1, 0.9).lookahead(5, 0.5), 0, &[1.0], &[]) }
}

#[test]
fn map_and_paths() {
    let picture = draw(&with(|_| ()), &accuracy()).unwrap();
    check(&picture);
    let svg = picture.svg().unwrap();
    // Six fast and two slow ones, and one of each in the legend; each with an edge.
    assert_eq!(svg.matches("<circle").count(), 20);
    for words in ["fast weights", "slow weights", "along the cycle", "validation accuracy (%)"] {
        assert!(svg.contains(&format!("\n{words}\n")), "{words}");
    }
    assert!(!svg.contains("#DEDEDE"), "every place has a value");
}

#[test]
fn a_place_without_a_value_is_grey() {
    let record = with(|plane| plane.scores[3][3].score = Some(f64::NAN));
    let picture = draw(&record, &accuracy()).unwrap();
    check(&picture);
    assert!(picture.svg().unwrap().contains("#DEDEDE"));
}

#[test]
fn odd_shapes() {
    // A flat one, without paths, wide, and high.
    let flat = |plane: &mut Plane| {
        plane.scores.iter_mut().flatten().for_each(|scores| scores.score = Some(50.0));
        plane.fast.clear();
        plane.slow.clear();
    };
    check(&draw(&with(flat), &accuracy()).unwrap());
    check(&draw(&with(|plane| plane.x.iter_mut().for_each(|x| *x *= 30.0)), &accuracy()).unwrap());
    check(&draw(&with(|plane| plane.y.iter_mut().for_each(|y| *y *= 30.0)), &accuracy()).unwrap());
    let lost = |plane: &mut Plane| plane.fast[2] = [f64::NAN, 0.0];
    check(&draw(&with(lost), &Measure::new(Quantity::ValidLoss, "loss").log()).unwrap());
}

#[test]
fn what_cannot_be_drawn() {
    let nothing =
        |plane: &mut Plane| plane.scores.iter_mut().flatten().for_each(|scores| scores.score = None);
    assert!(matches!(draw(&with(nothing), &accuracy()), Err(DrawError::NothingFinite { .. })));
    let falling = |plane: &mut Plane| plane.x.reverse();
    assert!(matches!(draw(&with(falling), &accuracy()), Err(DrawError::NothingFinite { .. })));
    let endless = |plane: &mut Plane| plane.y[20] = f64::INFINITY;
    assert!(matches!(draw(&with(endless), &accuracy()), Err(DrawError::NothingFinite { .. })));
    let short = |plane: &mut Plane| plane.scores.truncate(5);
    assert!(matches!(draw(&with(short), &accuracy()), Err(DrawError::PlaneSize { rows: 21, columns: 25 })));
    let empty = |plane: &mut Plane| {
        *plane = Plane { x: vec![], y: vec![], scores: vec![], fast: vec![], slow: vec![] }
    };
    assert!(matches!(draw(&with(empty), &accuracy()), Err(DrawError::PlaneSize { rows: 0, columns: 0 })));
    let record = Record { probe: None, ..with(|_| ()) };
    assert!(matches!(draw(&record, &accuracy()), Err(DrawError::NoProbe(_))));
}
