use super::{device, uniform, unreached, values, words};
use burn::module::Module;
use burn::nn::LstmConfig;
use burn::tensor::{Device, Tensor, s};
use experiments::models::lstm::{LanguageModelConfig, Output};
use experiments::models::recurrent::{Lstm, State};
use experiments::models::smoothing::cross_entropy;

const WORDS: usize = 11;

fn small() -> LanguageModelConfig {
    LanguageModelConfig { features: 6, units: 10, ..LanguageModelConfig::penn_treebank(WORDS) }
}

fn far(a: Vec<f32>, b: Vec<f32>) -> f32 {
    assert_eq!(a.len(), b.len());
    a.into_iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn parameters_are_as_many_as_counted_by_hand() {
    // Words; a layer has four gates of inputs, hidden units, and two biases; then a bias a word. AWD-LSTM counts as
    // many.
    let layer = |from: usize, units: usize| 4 * units * (from + units) + 2 * 4 * units;
    let expected = 10_000 * 400 + layer(400, 1150) + layer(1150, 1150) + layer(1150, 400) + 10_000;
    assert_eq!(expected, 24_221_600);
    assert_eq!(LanguageModelConfig::penn_treebank(10_000).init(&Device::flex()).num_params(), expected);
}

#[test]
fn words_become_logits() {
    let device = device();
    let model = small().init(&device);
    let output = model.forward(words([5, 3], WORDS, &device), model.state(3));
    assert_eq!(output.logits.dims(), [15, WORDS]);
    assert_eq!((output.raw.dims(), output.dropped.dims()), ([5, 3, 6], [5, 3, 6]));
    let sizes: Vec<_> = output.state.iter().map(|state| (state.hidden.dims(), state.cell.dims())).collect();
    assert_eq!(sizes, [([3, 10], [3, 10]), ([3, 10], [3, 10]), ([3, 6], [3, 6])]);
}

#[test]
fn gradients_reach_every_parameter() {
    let device = device();
    for config in [small(), small().without_dropout()] {
        let model = config.init(&device);
        let state = model.state(8);
        // States other than zero, as hidden weights have no gradient at the first time.
        let state = model.forward(words([4, 8], WORDS, &device), state).state;
        let state = state.into_iter().map(State::detach).collect();
        let output = model.forward(words([6, 8], WORDS, &device), state);
        let loss = cross_entropy(output.logits, words([48], WORDS, &device), 0.0, None);
        assert_eq!(unreached(&model, &loss), Vec::<String>::new());
    }
}

#[test]
fn a_layer_is_burns_with_other_weights() {
    let device = Device::flex();
    let ours = Lstm::new(3, 4, 0.5, &device);
    let mut theirs = LstmConfig::new(3, 4, true).with_batch_first(false).init(&device);
    let columns = |gate: usize| 4 * gate..4 * gate + 4;
    let part = |linear: &burn::nn::Linear, gate: usize| {
        let weight = linear.weight.val().slice(s![.., columns(gate)]);
        let bias = linear.bias.as_ref().map(|bias| bias.val().slice([columns(gate)]));
        let parameter = bias.map(burn::module::Param::from_tensor);
        burn::nn::Linear { weight: burn::module::Param::from_tensor(weight), bias: parameter }
    };
    let gates = [
        Some(&mut theirs.input_gate),
        theirs.forget_gate.as_mut(),
        Some(&mut theirs.cell_gate),
        Some(&mut theirs.output_gate),
    ];
    for (index, gate) in gates.into_iter().enumerate() {
        let gate = gate.expect("a gate");
        gate.input_transform = part(&ours.input, index);
        gate.hidden_transform = part(&ours.hidden, index);
    }
    let input = uniform([5, 2, 3], &device);
    let (found, state) = ours.forward(input.clone(), State::zeros(2, 4, &device));
    let (expected, their_state) = theirs.forward(input, None);
    assert!(far(values(found), values(expected)) < 1e-6);
    assert!(far(values(state.cell), values(their_state.cell)) < 1e-6);
}

#[test]
fn windows_go_on_where_the_last_one_ended() {
    let device = device();
    let model = small().init(&device).valid();
    let text = words([6, 2], WORDS, &device).inner();
    let whole = model.forward(text.clone(), model.state(2));
    let first = model.forward(text.clone().slice(s![..4, ..]), model.state(2));
    let second = model.forward(text.slice(s![4.., ..]), first.state);
    let parts = Tensor::cat(vec![first.logits, second.logits], 0);
    assert!(far(values(whole.logits), values(parts)) < 1e-6);
}

#[test]
fn dropout_is_off_in_evaluation() {
    let device = device();
    let model = small().init(&device);
    let text = words([5, 3], WORDS, &device);
    let train = || values(model.forward(text.clone(), model.state(3)).logits);
    assert!(far(train(), train()) > 1e-6);
    let valid = model.valid();
    let evaluate = || values(valid.forward(text.clone().inner(), valid.state(3)).logits);
    assert_eq!(evaluate(), evaluate());
    let output = valid.forward(text.inner(), valid.state(3));
    assert_eq!(values(output.raw), values(output.dropped));
}

#[test]
fn each_dropout_drops() {
    let device = device();
    let none = small().without_dropout();
    for config in [
        LanguageModelConfig { word_dropout: 0.5, ..none.clone() },
        LanguageModelConfig { input_dropout: 0.5, ..none.clone() },
        LanguageModelConfig { layer_dropout: 0.5, ..none.clone() },
        LanguageModelConfig { output_dropout: 0.5, ..none.clone() },
        LanguageModelConfig { weight_dropout: 0.5, ..none.clone() },
    ] {
        let model = config.init(&device);
        let run = || values(model.forward(words([5, 3], WORDS, &device), model.state(3)).logits);
        assert!(far(run(), run()) > 1e-6, "{config:?}");
    }
    let model = none.init(&device);
    let run = || values(model.forward(words([5, 3], WORDS, &device), model.state(3)).logits);
    assert_eq!(run(), run());
}

#[test]
fn activations_are_regularised() {
    let device = Device::flex();
    let tensor = |values: [[[f32; 2]; 1]; 2]| Tensor::<3>::from_data(values, &device);
    let output = Output {
        logits: Tensor::zeros([2, 1], &device),
        raw: tensor([[[1.0, 2.0]], [[4.0, 6.0]]]),
        dropped: tensor([[[2.0, 0.0]], [[0.0, 4.0]]]),
        state: Vec::new(),
    };
    assert_eq!(values(output.activation(2.0)), [2.0 * 20.0 / 4.0]);
    assert_eq!(values(output.temporal(3.0)), [3.0 * (9.0 + 16.0) / 2.0]);
    let one = Output { raw: tensor([[[1.0, 2.0]], [[4.0, 6.0]]]).slice(s![..1, .., ..]), ..output };
    assert_eq!(values(one.temporal(3.0)), [0.0]);
}
