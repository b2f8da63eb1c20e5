use super::{device, unreached, values, words};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, s};
use experiments::models::smoothing::cross_entropy;
use experiments::models::transformer::{Transformer, TransformerConfig};

const WORDS: usize = 13;

fn small(norm_first: bool) -> TransformerConfig {
    let base = TransformerConfig::base(WORDS);
    TransformerConfig { features: 8, inner: 12, heads: 2, layers: 2, longest: 16, norm_first, ..base }
}

/// Numbers of words, none of them the one that fills up.
fn sentences(shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    words(shape, WORDS - 1, device) + 1
}

fn far(a: Tensor<3>, b: Tensor<3>) -> f32 {
    values((a - b).abs()).into_iter().fold(0.0, f32::max)
}

#[test]
fn parameters_are_as_many_as_counted_by_hand() {
    let (features, inner, vocabulary) = (512, 2048, 37_000);
    let matrix = |from: usize, to: usize| from * to + to;
    let norm = 2 * features;
    let attention = 4 * matrix(features, features);
    let forward = matrix(features, inner) + matrix(inner, features);
    let (encoder, decoder) = (attention + forward + 2 * norm, 2 * attention + forward + 3 * norm);
    let expected = 6 * (encoder + decoder) + vocabulary * features;
    // Published: 65 million.
    assert_eq!(expected, 63_082_496);
    let base = TransformerConfig::base(vocabulary);
    assert_eq!(base.init(&Device::flex()).num_params(), expected);
    let norm_first = TransformerConfig { norm_first: true, ..base };
    assert_eq!(norm_first.init(&Device::flex()).num_params(), expected + 2 * norm);
}

#[test]
fn sentences_become_logits() {
    let device = device();
    let model = small(false).init(&device);
    let logits = model.forward(sentences([3, 5], &device), sentences([3, 4], &device));
    assert_eq!(logits.dims(), [3, 4, WORDS]);
}

#[test]
fn gradients_reach_every_parameter() {
    let device = device();
    for norm_first in [false, true] {
        let model = small(norm_first).init(&device);
        let logits = model.forward(sentences([6, 5], &device), sentences([6, 4], &device));
        let loss = cross_entropy(logits.reshape([24, WORDS]), words([24], WORDS, &device), 0.1, Some(0));
        // A bias of the keys adds the same to all scores of a query, and a softmax does not see that.
        let found: Vec<_> =
            unreached(&model, &loss).into_iter().filter(|path| !path.ends_with("key.bias")).collect();
        assert_eq!(found, Vec::<String>::new());
    }
}

#[test]
fn dropout_is_off_in_evaluation() {
    let device = device();
    let model = small(false).init(&device);
    let (source, target) = (sentences([3, 5], &device), sentences([3, 4], &device));
    let run = || model.forward(source.clone(), target.clone());
    assert!(far(run(), run()) > 1e-4);
    let valid = model.valid();
    let run = || valid.forward(source.clone().inner(), target.clone().inner());
    assert_eq!(far(run(), run()), 0.0);
}

fn evaluated(norm_first: bool, device: &Device) -> Transformer {
    small(norm_first).init(device).valid()
}

#[test]
fn what_comes_later_is_not_seen() {
    let device = device();
    for norm_first in [false, true] {
        let model = evaluated(norm_first, &device);
        let (source, target) = (sentences([2, 5], &device).inner(), sentences([2, 4], &device).inner());
        let whole = model.forward(source.clone(), target.clone());
        let other = target.clone().slice_fill(s![.., 2..], 1);
        let changed = model.forward(source, other);
        let early = |logits: Tensor<3>| logits.slice(s![.., ..2, ..]);
        assert!(far(early(whole.clone()), early(changed.clone())) < 1e-6);
        assert!(far(whole, changed) > 1e-4);
    }
}

#[test]
fn what_fills_up_is_not_seen() {
    let device = device();
    let model = evaluated(false, &device);
    let (source, target) = (sentences([2, 3], &device).inner(), sentences([2, 4], &device).inner());
    let alone = model.forward(source.clone(), target.clone());
    let filled = Tensor::cat(vec![source, Tensor::zeros([2, 2], &device.clone().inner())], 1);
    assert!(far(alone, model.forward(filled, target)) < 1e-5);
}

#[test]
fn translations_depend_on_their_sentences() {
    let device = device();
    let model = evaluated(false, &device);
    let target = sentences([2, 4], &device).inner();
    let run = |number: i64| {
        let source = Tensor::full([2, 3], number, &device.clone().inner());
        model.forward(source, target.clone())
    };
    assert!(far(run(1), run(2)) > 1e-4);
}
