//! NT-ASGD's trigger, against a literal transcription of the published rule.

use lookahead_wgpu::average::NonMonotone;
use serde::Deserialize;

/// What `tests/golden/nt_asgd.py` wrote.
#[derive(Deserialize)]
struct File {
    sequences: Vec<Sequence>,
}

/// Losses, and the evaluation that triggers.
#[derive(Deserialize)]
struct Sequence {
    interval: u32,
    losses: Vec<f64>,
    triggers: Option<usize>,
}

#[test]
fn the_trigger_is_the_published_one() {
    let file: File = serde_json::from_str(include_str!("../golden/nt_asgd.json")).unwrap();
    assert!(file.sequences.len() > 100);
    for Sequence { interval, losses, triggers } in &file.sequences {
        let mut trigger = NonMonotone::new(*interval);
        let found: Vec<usize> = (0..losses.len()).filter(|&t| trigger.observe(losses[t])).collect();
        assert_eq!(found, triggers.iter().copied().collect::<Vec<_>>(), "n = {interval}, {losses:?}");
        assert_eq!(trigger.has_triggered(), triggers.is_some());
        // Saved and loaded between any two evaluations.
        for stop in 0..=losses.len() {
            let mut trigger = NonMonotone::new(*interval);
            let mut found: Vec<usize> = (0..stop).filter(|&t| trigger.observe(losses[t])).collect();
            let text = serde_json::to_string(&trigger).unwrap();
            let mut again: NonMonotone = serde_json::from_str(&text).unwrap();
            assert_eq!(again, trigger);
            found.extend((stop..losses.len()).filter(|&t| again.observe(losses[t])));
            assert_eq!(found, triggers.iter().copied().collect::<Vec<_>>(), "{text}");
        }
    }
}

#[test]
fn losses_that_are_no_numbers_neither_trigger_nor_are_compared_with() {
    let first = |interval: u32, losses: &[f64]| {
        let mut trigger = NonMonotone::new(interval);
        losses.iter().position(|&loss| {
            // A file of JSON has no NaN and no infinity.
            trigger = serde_json::from_str(&serde_json::to_string(&trigger).unwrap()).unwrap();
            trigger.observe(loss)
        })
    };
    let (nan, infinity) = (f64::NAN, f64::INFINITY);
    assert_eq!(NonMonotone::default(), NonMonotone::new(5));
    assert_eq!(first(1, &[1.0, nan, nan, nan]), None);
    assert_eq!(first(1, &[nan, nan, 1.0, 1.0, 1.0]), None);
    assert_eq!(first(1, &[nan, 1.0, nan, 2.0]), Some(3), "it counts as an evaluation");
    assert_eq!(first(1, &[1.0, 1.0, infinity]), Some(2));
    assert_eq!(first(0, &[infinity, infinity, 1.0, 2.0]), Some(3));
    assert_eq!(first(0, &[-infinity, -infinity, -1e300]), Some(2));
}
