//! BLEU, against sacrebleu's.

use experiments::bleu;
use serde::Deserialize;

#[derive(Deserialize)]
struct Corpus {
    name: String,
    bleu: f64,
    texts: Vec<(String, String)>,
}

#[test]
fn it_is_sacrebleus() {
    let corpora: Vec<Corpus> = serde_json::from_str(include_str!("../../oracle/bleu.json")).expect("JSON");
    for Corpus { name, bleu, texts } in &corpora {
        let found = bleu::corpus(texts.iter().map(|(hypothesis, reference)| (&**hypothesis, &**reference)));
        assert!((found - bleu).abs() < 1e-9, "{name}: {found}, not {bleu}");
    }
    assert!(corpora.iter().filter(|corpus| corpus.bleu > 1.0 && corpus.bleu < 99.0).count() > 40);
}

#[test]
fn nothing_at_all_is_zero() {
    assert_eq!(bleu::corpus([]), 0.0);
}
