//! Dropout whose mask is the same along an axis ([Gal, Ghahramani, 2016](https://arxiv.org/abs/1512.05287)).

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Tensor, s};

/// Zeroes elements while training, the same ones at every place of the first axis or of the last.
#[derive(Module, Debug)]
pub struct SharedDropout {
    dropout: Dropout,
}

impl SharedDropout {
    /// With a probability from 0 to below 1.
    pub fn new(probability: f64) -> Self {
        Self { dropout: DropoutConfig::new(probability).init() }
    }

    /// The same at every time, over `[time, batch, features]`: variational dropout.
    pub fn over_time(&self, input: Tensor<3>) -> Tensor<3> {
        let ones = input.clone().slice(s![0..1, .., ..]).ones_like();
        input * self.dropout.forward(ones)
    }

    /// Whole rows of `[rows, features]`: with the rows of an embedding, words.
    pub fn rows(&self, input: Tensor<2>) -> Tensor<2> {
        let ones = input.clone().slice(s![.., 0..1]).ones_like();
        input * self.dropout.forward(ones)
    }
}
