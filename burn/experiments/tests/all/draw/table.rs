//! Tables of means and spreads.

use experiments::draw::table::{Column, epochs_to_reach, markdown, rows, text};
use experiments::draw::{DrawError, Quantity, by_method};
use experiments::run::record::Record;

use super::made::{record, sgd};

/// Two seeds of SGD, one of which diverged besides; one of Lookahead.
fn records() -> Vec<Record> {
    let (alone, with) = (sgd(0.1, 0.9), sgd(0.1, 0.9).lookahead(5, 0.5));
    vec![
        record(&alone, 0, &[2.0, 0.5, 1.0], &[50.0, 80.0, 70.0]),
        record(&alone, 1, &[2.0, 1.0, 2.0], &[52.0, 60.0, 66.0]),
        record(&alone, 2, &[2.0, 1.0, f64::NAN], &[54.0, 60.0, 10.0]),
        record(&with, 0, &[1.0, 0.5, 0.25], &[60.0, 70.0, 90.0]),
    ]
}

#[test]
fn means_and_spreads() {
    let records = records();
    let rows = rows(&by_method(&records)).unwrap();
    let [alone, with] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((alone.runs, alone.diverged, alone.epochs, &*alone.preset), (3, 1, 3, "made"));
    // Of 1 and 2, of 70 and 66, of 0.5 and 1, of 80 and 66.
    let loss = alone.test_loss.unwrap();
    assert_eq!((loss.count, loss.mean, loss.deviation), (2, 1.5, Some(0.5f64.sqrt())));
    let score = alone.test_score.unwrap();
    assert_eq!((score.mean, score.deviation, score.least), (68.0, Some(8f64.sqrt()), 66.0));
    assert_eq!(alone.best_loss.unwrap().mean, 0.75);
    assert_eq!(alone.best_score.unwrap().mean, 73.0);
    let perplexity = alone.test_perplexity.unwrap();
    assert!((perplexity.mean - (1f64.exp() + 2f64.exp()) / 2.0).abs() < 1e-12);
    assert_eq!((with.runs, with.diverged, with.test_loss.unwrap().deviation), (1, 0, None));

    let json = serde_json::to_value(&rows).unwrap();
    assert_eq!(json[0]["test_loss"]["mean"], 1.5);
    assert_eq!(json[1]["test_loss"]["deviation"], serde_json::Value::Null);
}

#[test]
fn as_markdown_and_as_text() {
    let records = records();
    let rows = rows(&by_method(&records)).unwrap();
    let columns = [Column::TestLoss, Column::TestAccuracy, Column::BestScore];
    let expected = "\
| method | runs | test loss | test accuracy (%) | best valid. score |
|---|---:|---:|---:|---:|
| SGD | 3, 1 diverged | 1.5000 ± 0.7071 | 68.00 ± 2.83 | 73.00 ± 9.90 |
| Lookahead(SGD) | 1 | 0.2500 | 90.00 | 90.00 |
";
    assert_eq!(markdown(&rows, &columns), expected);
    let expected = "\
method                   runs        test loss  test accuracy (%)  best valid. score
SGD             3, 1 diverged  1.5000 ± 0.7071       68.00 ± 2.83       73.00 ± 9.90
Lookahead(SGD)              1           0.2500              90.00              90.00
";
    assert_eq!(text(&rows, &columns, 100), expected);
}

#[test]
fn text_fits() {
    let mut records = records();
    records.push(record(&sgd(0.1, 0.9).adaptive(5, 0.5), 0, &[1.0], &[]));
    let rows = rows(&by_method(&records)).unwrap();
    let columns = [Column::TestLoss, Column::TestPerplexity, Column::TestAccuracy, Column::BestPerplexity];
    for width in [60, 80] {
        let text = text(&rows, &columns, width);
        assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        assert!(text.contains("Lookahead(SGD),…") || text.contains("Lookahead(SGD), a"), "{text}");
        assert!(text.contains("best valid. perplexity") && text.contains("test accuracy (%)"), "{text}");
    }
    // A score that nobody measured.
    assert!(text(&rows, &[Column::TestAccuracy], 80).lines().any(|line| line.ends_with(" -")));
    // Too narrow for anything: still all there.
    assert!(text(&rows, &columns, 0).contains("test accuracy (%)"));
}

#[test]
fn epochs_until_a_level() {
    let records = records();
    let groups = by_method(&records);
    let words = |quantity, level| -> Vec<String> {
        epochs_to_reach(&groups, quantity, level).unwrap().iter().map(ToString::to_string).collect()
    };
    // Means of scores: 52, 66.7, 48.7; 60, 70, 90. Of losses: 2, 0.83, none; 1, 0.5, 0.25.
    assert_eq!(words(Quantity::ValidScore, 65.0), ["SGD: 2 of 3 epochs", "Lookahead(SGD): 2 of 3 epochs"]);
    assert_eq!(words(Quantity::ValidScore, 90.0), ["SGD: not in 3 epochs", "Lookahead(SGD): 3 of 3 epochs"]);
    assert_eq!(words(Quantity::ValidLoss, 1.0), ["SGD: 2 of 3 epochs", "Lookahead(SGD): 1 of 3 epochs"]);
    assert_eq!(words(Quantity::TrainLoss, 0.3), ["SGD: not in 3 epochs", "Lookahead(SGD): 3 of 3 epochs"]);
}

#[test]
fn without_runs() {
    assert!(matches!(rows(&[]), Err(DrawError::NoRuns(_))));
    let problem = epochs_to_reach(&[], Quantity::ValidScore, 1.0).unwrap_err();
    assert_eq!(problem.to_string(), "no runs for epochs to reach a level");
    let all = [record(&sgd(0.1, 0.9), 0, &[f64::NAN], &[]), record(&sgd(0.1, 0.9), 1, &[], &[])];
    let rows = rows(&by_method(&all[..1])).unwrap();
    assert_eq!((rows[0].diverged, rows[0].test_loss), (1, None));
    let last = markdown(&rows, &[Column::TestLoss]);
    assert!(last.ends_with("| SGD | 1, 1 diverged | - |\n"), "{last}");
}
