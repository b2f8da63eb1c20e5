//! A long short-term memory ([Hochreiter, Schmidhuber, 1997](https://doi.org/10.1162/neco.1997.9.8.1735)) with
//! DropConnect on its hidden-to-hidden weights ([Merity, Keskar, Socher, 2017](https://arxiv.org/abs/1708.02182)).

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Initializer, Linear, LinearConfig};
use burn::tensor::activation::sigmoid;
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor, s};

/// A layer. Its gates lie side by side in each weight: input, forget, cell, output, as in PyTorch.
#[derive(Module, Debug)]
pub struct Lstm {
    /// `[from, 4 hidden]`.
    pub input: Linear,
    /// `[hidden, 4 hidden]`.
    pub hidden: Linear,
    /// Of the hidden weights, for all times of a window alike.
    pub weight_drop: Dropout,
    /// Hidden units.
    pub units: usize,
}

/// What a layer remembers.
#[derive(Debug, Clone)]
pub struct State {
    /// `[batch, hidden]`.
    pub hidden: Tensor<2>,
    /// `[batch, hidden]`.
    pub cell: Tensor<2>,
}

impl State {
    /// No memory.
    pub fn zeros(batch: usize, units: usize, device: &Device) -> Self {
        let zeros = Tensor::zeros([batch, units], device);
        Self { hidden: zeros.clone(), cell: zeros }
    }

    /// Cut off from what it came from, so that gradients end at a window's start.
    pub fn detach(self) -> Self {
        Self { hidden: self.hidden.detach(), cell: self.cell.detach() }
    }
}

impl Lstm {
    /// A layer of new weights.
    pub fn new(from: usize, units: usize, weight_drop: f64, device: &Device) -> Self {
        let bound = (units as f64).powf(-0.5);
        let transform = |from: usize| {
            let initializer = Initializer::Uniform { min: -bound, max: bound };
            LinearConfig::new(from, 4 * units).with_initializer(initializer).init(device)
        };
        let (input, hidden) = (transform(from), transform(units));
        Self { input, hidden, weight_drop: DropoutConfig::new(weight_drop).init(), units }
    }

    /// `[time, batch, from]` to `[time, batch, hidden]`.
    pub fn forward(&self, input: Tensor<3>, state: State) -> (Tensor<3>, State) {
        let State { mut hidden, mut cell } = state;
        let weight = self.weight_drop.forward(self.hidden.weight.val());
        let bias = self.hidden.bias.as_ref().map(|bias| bias.val());
        // All times at once, which the recurrence does not need.
        let inputs = self.input.forward(input);
        let mut outputs = Vec::new();
        for input in inputs.iter_dim(0) {
            let gates = input.squeeze_dim::<2>(0) + linear(hidden, weight.clone(), bias.clone());
            let gate = |index: usize| {
                let gate = index * self.units..(index + 1) * self.units;
                gates.clone().slice(s![.., gate])
            };
            cell = sigmoid(gate(1)) * cell + sigmoid(gate(0)) * gate(2).tanh();
            hidden = sigmoid(gate(3)) * cell.clone().tanh();
            outputs.push(hidden.clone());
        }
        (Tensor::stack(outputs, 0), State { hidden, cell })
    }
}
