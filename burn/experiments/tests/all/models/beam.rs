use super::{device, values};
use burn::module::Module;
use burn::tensor::activation::log_softmax;
use experiments::models::beam::Beam;
use experiments::models::padded::padded;
use experiments::models::transformer::{Transformer, TransformerConfig};

/// Numbers of words: one that fills up, one that begins, one that ends, and three others.
const WORDS: usize = 6;
const BEAM: Beam = Beam { width: 4, penalty: 0.6, longest: 3, pad: 0, begin: 1, end: 2 };
const SENTENCES: [&[u32]; 4] = [&[3, 4, 5, 3, 2], &[5, 2], &[4, 4, 2], &[2]];

/// Its weights are large enough that its probabilities are not all alike.
fn model() -> Transformer {
    let device = device();
    let base = TransformerConfig::base(WORDS);
    let mut model =
        TransformerConfig { features: 8, inner: 12, heads: 2, layers: 1, longest: 16, ..base }.init(&device);
    model.words.weight = model.words.weight.map(|weight| weight * 3.0);
    model.valid()
}

/// The logarithms of the probabilities of the words after the last one.
fn next(model: &Transformer, source: &[u32], target: &[u32]) -> Vec<f32> {
    let device = model.words.weight.val().device();
    let logits = model.forward(padded([source], 0, &device), padded([target], 0, &device));
    let logarithms = values(log_softmax(logits, 2));
    logarithms[logarithms.len() - WORDS..].to_vec()
}

/// The best of all translations that there are, by trying each.
fn best(model: &Transformer, source: &[u32], penalty: f64) -> Vec<u32> {
    let mut all = vec![(vec![BEAM.begin], 0.0)];
    let (mut best, mut best_score) = (vec![], f64::NEG_INFINITY);
    while let Some((words, score)) = all.pop() {
        let logarithms = next(model, source, &words);
        let end = score + f64::from(logarithms[BEAM.end as usize]);
        let end = end / ((5.0 + words.len() as f64) / 6.0).powf(penalty);
        if end > best_score {
            (best, best_score) = (words[1..].to_vec(), end);
        }
        if words.len() <= BEAM.longest {
            let longer =
                |word: u32| ([&words[..], &[word]].concat(), score + f64::from(logarithms[word as usize]));
            all.extend((BEAM.end + 1..WORDS as u32).map(longer));
        }
    }
    best
}

#[test]
fn a_wide_search_finds_the_best_of_all() {
    let model = model();
    for penalty in [0.0, 0.6, 5.0] {
        let beam = Beam { width: 100, penalty, ..BEAM };
        let expected = SENTENCES.map(|sentence| best(&model, sentence, penalty));
        assert_eq!(beam.translate(&model, &SENTENCES), expected);
    }
}

#[test]
fn a_search_of_one_is_greedy() {
    let model = model();
    for (sentence, found) in SENTENCES.iter().zip(Beam { width: 1, ..BEAM }.translate(&model, &SENTENCES)) {
        let mut words = vec![BEAM.begin];
        loop {
            let logarithms = next(&model, sentence, &words);
            let word = (BEAM.end..WORDS as u32)
                .max_by(|&a, &b| logarithms[a as usize].total_cmp(&logarithms[b as usize]))
                .expect("a word");
            if word == BEAM.end || words.len() > BEAM.longest {
                break;
            }
            words.push(word);
        }
        assert_eq!(found, words[1..]);
    }
}

#[test]
fn a_batch_is_translated_as_its_sentences_are() {
    let model = model();
    for width in [1, 2, 4] {
        let beam = Beam { width, longest: 9, ..BEAM };
        let together = beam.translate(&model, &SENTENCES);
        let alone: Vec<_> =
            SENTENCES.iter().flat_map(|&sentence| beam.translate(&model, &[sentence])).collect();
        assert_eq!(together, alone);
        assert!(together.iter().all(|words| words.iter().all(|&word| word > BEAM.end)));
    }
}

#[test]
fn what_is_no_number_is_translated_by_nothing() {
    let mut model = model();
    model.words.weight = model.words.weight.map(|weight| weight * f32::NAN);
    assert_eq!(BEAM.translate(&model, &SENTENCES), [const { Vec::<u32>::new() }; 4]);
    assert_eq!(BEAM.translate(&model, &[]), Vec::<Vec<u32>>::new());
}
