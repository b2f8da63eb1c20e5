//! The Transformer ([Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)).

use burn::module::Module;
use burn::nn::activation::ActivationConfig;
use burn::nn::attention::generate_autoregressive_mask;
use burn::nn::transformer::{
    TransformerDecoder, TransformerDecoderConfig, TransformerDecoderInput, TransformerEncoder,
    TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig,
    PositionalEncoding, PositionalEncodingConfig,
};
use burn::tensor::{Bool, Device, Int, Tensor};

/// The shape of a model, and its dropout.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerConfig {
    /// Words of both languages together.
    pub words: usize,
    /// The word that fills up short sentences, which nothing attends to.
    pub pad: u32,
    /// Size of a word's vector; even.
    pub features: usize,
    /// Size of what lies between a feed-forward layer's two matrices.
    pub inner: usize,
    /// Attention heads, of `features / heads` each.
    pub heads: usize,
    /// Layers of the encoder, and as many of the decoder.
    pub layers: usize,
    /// Of attention, of feed-forward layers, of the sums of vectors and positions, and of what is added in each
    /// layer.
    pub dropout: f64,
    /// Whether each layer normalises what goes into its parts, not what comes out, as in the original.
    pub norm_first: bool,
    /// The longest sentence, in words; at most 10,000.
    pub longest: usize,
}

impl TransformerConfig {
    /// The base model.
    pub fn base(words: usize) -> Self {
        Self {
            words,
            pad: 0,
            features: 512,
            inner: 2048,
            heads: 8,
            layers: 6,
            dropout: 0.1,
            norm_first: false,
            longest: 1024,
        }
    }

    /// A model of new weights.
    pub fn init(&self, device: &Device) -> Transformer {
        let Self { features, inner, heads, layers, dropout, norm_first, .. } = *self;
        let initializer = Initializer::XavierUniform { gain: 1.0 };
        let encoder = TransformerEncoderConfig::new(features, inner, heads, layers)
            .with_dropout(dropout)
            .with_norm_first(norm_first)
            .with_activation(ActivationConfig::Relu)
            .with_initializer(initializer.clone());
        let decoder = TransformerDecoderConfig::new(features, inner, heads, layers)
            .with_dropout(dropout)
            .with_norm_first(norm_first)
            .with_activation(ActivationConfig::Relu)
            .with_initializer(initializer);
        // Sums that no layer normalises after the last one.
        let norm = || norm_first.then(|| LayerNormConfig::new(features).init(device));
        let std = (features as f64).powf(-0.5);
        Transformer {
            words: EmbeddingConfig::new(self.words, features)
                .with_initializer(Initializer::Normal { mean: 0.0, std })
                .init(device),
            positions: PositionalEncodingConfig::new(features)
                .with_max_sequence_size(self.longest)
                .init(device),
            dropout: DropoutConfig::new(dropout).init(),
            encoder: encoder.init(device),
            encoder_norm: norm(),
            decoder: decoder.init(device),
            decoder_norm: norm(),
            pad: self.pad,
        }
    }
}

/// The model. One matrix has the vectors of both languages' words, and is the last matrix, too.
#[derive(Module, Debug)]
pub struct Transformer {
    /// The words' vectors, `[words, features]`.
    pub words: Embedding,
    /// Sines and cosines.
    pub positions: PositionalEncoding,
    /// Of the sums of vectors and positions.
    pub dropout: Dropout,
    /// Layers for the sentence.
    pub encoder: TransformerEncoder,
    /// After them, where they normalise first.
    pub encoder_norm: Option<LayerNorm>,
    /// Layers for its translation.
    pub decoder: TransformerDecoder,
    /// After them, where they normalise first.
    pub decoder_norm: Option<LayerNorm>,
    pad: u32,
}

/// A sentence that was read.
#[derive(Debug, Clone)]
pub struct Memory {
    features: Tensor<3>,
    mask: Tensor<2, Bool>,
}

impl Transformer {
    /// Sentences `[batch, source]` and the words of their translations `[batch, target]`, from what a translation
    /// begins with on, to logits of the words after them, `[batch, target, words]`.
    pub fn forward(&self, source: Tensor<2, Int>, target: Tensor<2, Int>) -> Tensor<3> {
        self.decode(&self.encode(source), target)
    }

    /// Reads sentences `[batch, source]`.
    pub fn encode(&self, source: Tensor<2, Int>) -> Memory {
        let mask = self.mask(&source);
        let input = TransformerEncoderInput::new(self.embed(source)).mask_pad(mask.clone());
        Memory { features: normed(&self.encoder_norm, self.encoder.forward(input)), mask }
    }

    /// Logits of the words after those of translations `[batch, target]`, `[batch, target, words]`.
    pub fn decode(&self, memory: &Memory, target: Tensor<2, Int>) -> Tensor<3> {
        let [batch, length] = target.dims();
        let future = generate_autoregressive_mask(batch, length, &target.device());
        let pad = self.mask(&target);
        let input = TransformerDecoderInput::new(self.embed(target), memory.features.clone())
            .target_mask_pad(pad)
            .target_mask_attn(future)
            .memory_mask_pad(memory.mask.clone());
        let features = normed(&self.decoder_norm, self.decoder.forward(input));
        features.matmul(self.words.weight.val().transpose().unsqueeze())
    }

    fn mask(&self, words: &Tensor<2, Int>) -> Tensor<2, Bool> {
        words.clone().equal_scalar(i64::from(self.pad))
    }

    fn embed(&self, words: Tensor<2, Int>) -> Tensor<3> {
        let vectors = self.words.forward(words);
        let [_, _, features] = vectors.dims();
        self.dropout.forward(self.positions.forward(vectors * (features as f64).sqrt()))
    }
}

fn normed(norm: &Option<LayerNorm>, features: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(features),
        None => features,
    }
}
