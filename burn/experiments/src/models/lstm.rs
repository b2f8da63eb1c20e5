//! A language model of AWD-LSTM's structure and regularisation
//! ([Merity, Keskar, Socher, 2017](https://arxiv.org/abs/1708.02182)).

use super::dropout::SharedDropout;
use super::recurrent::{Lstm, State};
use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, Initializer};
use burn::tensor::module::embedding;
use burn::tensor::{Device, Int, Tensor, s};

/// The shape of a model, and its dropouts.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageModelConfig {
    /// Words.
    pub words: usize,
    /// Size of a word's vector, and of the last layer.
    pub features: usize,
    /// Units of the other layers.
    pub units: usize,
    /// How many layers there are.
    pub layers: usize,
    /// Of whole words (AWD-LSTM's `dropoute`).
    pub word_dropout: f64,
    /// Of the words' vectors, the same at all times (`dropouti`).
    pub input_dropout: f64,
    /// Between layers, the same at all times (`dropouth`).
    pub layer_dropout: f64,
    /// Of the last layer's output, the same at all times (`dropout`).
    pub output_dropout: f64,
    /// Of the hidden-to-hidden weights (`wdrop`).
    pub weight_dropout: f64,
}

impl LanguageModelConfig {
    /// AWD-LSTM's settings for the Penn Treebank.
    pub fn penn_treebank(words: usize) -> Self {
        Self {
            words,
            features: 400,
            units: 1150,
            layers: 3,
            word_dropout: 0.1,
            input_dropout: 0.4,
            layer_dropout: 0.25,
            output_dropout: 0.4,
            weight_dropout: 0.5,
        }
    }

    /// The same without dropout.
    pub fn without_dropout(self) -> Self {
        Self {
            word_dropout: 0.0,
            input_dropout: 0.0,
            layer_dropout: 0.0,
            output_dropout: 0.0,
            weight_dropout: 0.0,
            ..self
        }
    }

    /// A model of new weights.
    pub fn init(&self, device: &Device) -> LanguageModel {
        let size = |layer: usize| if layer == self.layers { self.features } else { self.units };
        let from = |layer: usize| if layer == 1 { self.features } else { size(layer - 1) };
        let layers = 1..=self.layers;
        LanguageModel {
            words: EmbeddingConfig::new(self.words, self.features)
                .with_initializer(Initializer::Uniform { min: -0.1, max: 0.1 })
                .init(device),
            layers: layers
                .map(|layer| Lstm::new(from(layer), size(layer), self.weight_dropout, device))
                .collect(),
            bias: Initializer::Zeros.init([self.words], device),
            word_dropout: SharedDropout::new(self.word_dropout),
            input_dropout: SharedDropout::new(self.input_dropout),
            layer_dropout: SharedDropout::new(self.layer_dropout),
            output_dropout: SharedDropout::new(self.output_dropout),
        }
    }
}

/// The model. Its words' vectors are its last matrix, too.
#[derive(Module, Debug)]
pub struct LanguageModel {
    /// The words' vectors, `[words, features]`.
    pub words: Embedding,
    /// The layers.
    pub layers: Vec<Lstm>,
    /// A bias a word.
    pub bias: Param<Tensor<1>>,
    word_dropout: SharedDropout,
    input_dropout: SharedDropout,
    layer_dropout: SharedDropout,
    output_dropout: SharedDropout,
}

/// What the model makes of a window.
#[derive(Debug, Clone)]
pub struct Output {
    /// Of the word after each, `[time * batch, words]`.
    pub logits: Tensor<2>,
    /// The last layer's output, `[time, batch, features]`.
    pub raw: Tensor<3>,
    /// The same after dropout.
    pub dropped: Tensor<3>,
    /// What each layer remembers.
    pub state: Vec<State>,
}

impl LanguageModel {
    /// No memory.
    pub fn state(&self, batch: usize) -> Vec<State> {
        let device = self.bias.device();
        self.layers.iter().map(|layer| State::zeros(batch, layer.units, &device)).collect()
    }

    /// Words `[time, batch]`, and what the layers remember of the window before.
    pub fn forward(&self, words: Tensor<2, Int>, state: Vec<State>) -> Output {
        let vectors = self.words.weight.val();
        let mut features = embedding(self.word_dropout.rows(vectors.clone()), words);
        features = self.input_dropout.over_time(features);
        let mut after = Vec::new();
        for (index, (layer, state)) in self.layers.iter().zip(state).enumerate() {
            if index > 0 {
                features = self.layer_dropout.over_time(features);
            }
            let (output, state) = layer.forward(features, state);
            features = output;
            after.push(state);
        }
        let dropped = self.output_dropout.over_time(features.clone());
        let [time, batch, size] = dropped.dims();
        let logits = dropped.clone().reshape([time * batch, size]).matmul(vectors.transpose());
        let logits = logits + self.bias.val().unsqueeze();
        Output { logits, raw: features, dropped, state: after }
    }
}

impl Output {
    /// Activation regularisation, AR: `alpha` times the mean square of the last layer's output after dropout.
    /// AWD-LSTM's alpha is 2.
    pub fn activation(&self, alpha: f64) -> Tensor<1> {
        self.dropped.clone().square().mean() * alpha
    }

    /// Temporal activation regularisation, TAR: `beta` times the mean square of what the last layer's output changes
    /// by from one time to the next. AWD-LSTM's beta is 1. Zero for a window of one time.
    pub fn temporal(&self, beta: f64) -> Tensor<1> {
        let [time, _, _] = self.raw.dims();
        if time < 2 {
            return Tensor::zeros([1], &self.raw.device());
        }
        let (later, earlier) =
            (self.raw.clone().slice(s![1.., .., ..]), self.raw.clone().slice(s![..time - 1, .., ..]));
        (later - earlier).square().mean() * beta
    }
}
