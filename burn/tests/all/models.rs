//! Small models of several kinds, which are made with the same weights on every device.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    nn::{
        Linear, LinearConfig, Lstm, LstmConfig,
        conv::{Conv2d, Conv2dConfig},
    },
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};

use crate::network::{Network, noise};

pub trait Model: Module {
    const NAME: &str;

    fn new(device: &Device) -> Self;

    /// The loss of a step, for which the batch is made.
    fn loss(&self, step: usize) -> Tensor<1>;

    fn gradients(&self, step: usize) -> GradientsParams {
        GradientsParams::from_grads(self.loss(step).backward(), self)
    }

    /// The values of each parameter.
    fn values(&self) -> Vec<Vec<f32>> {
        let mut visit = Visit { gradients: None, found: vec![] };
        self.visit(&mut visit);
        visit.found
    }

    /// The values of each parameter's gradient.
    fn gradient_values(&self, step: usize) -> Vec<Vec<f32>> {
        let mut visit = Visit { gradients: Some(self.gradients(step)), found: vec![] };
        self.visit(&mut visit);
        visit.found
    }

    /// With other values of each parameter.
    fn filled(self, values: Vec<Vec<f32>>) -> Self {
        self.map(&mut Fill { values: values.into_iter() })
    }
}

struct Visit {
    /// Whose values are asked for, if not those of the parameters.
    gradients: Option<GradientsParams>,
    found: Vec<Vec<f32>>,
}

impl ModuleVisitor for Visit {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = match &self.gradients {
            Some(gradients) => gradients.get::<D>(param.id).unwrap(),
            None => param.val().inner(),
        };
        self.found.push(values.into_data().try_to_vec().unwrap());
    }
}

struct Fill {
    values: std::vec::IntoIter<Vec<f32>>,
}

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = self.values.next().unwrap();
        param.map(|old| Tensor::from_data(TensorData::new(values, old.shape()), &old.device()).require_grad())
    }
}

/// With weights that only depend on their place in the module.
fn started<M: Model>(module: M) -> M {
    let lens = module.values().into_iter().map(|values| values.len());
    let starts = lens.zip(0..).map(|(len, place)| f32s(noise(len, place)));
    let starts = starts.collect();
    module.filled(starts)
}

fn f32s(values: Vec<f64>) -> Vec<f32> {
    values.into_iter().map(|value| value as f32).collect()
}

fn tensor<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    let values = f32s(noise(shape.iter().product(), seed));
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn mean_square(found: Tensor<2>, step: usize) -> Tensor<1> {
    let targets = tensor(found.dims(), 1001 + 2 * step, &found.device());
    (found - targets).square().mean()
}

impl Model for Network {
    const NAME: &str = "an MLP";

    fn new(device: &Device) -> Self {
        Self::new(device)
    }

    fn loss(&self, step: usize) -> Tensor<1> {
        self.loss(step)
    }
}

#[derive(Module, Debug)]
pub struct Convolution {
    first: Conv2d,
    second: Conv2d,
    head: Linear,
}

impl Model for Convolution {
    const NAME: &str = "a convolution network";

    fn new(device: &Device) -> Self {
        started(Self {
            first: Conv2dConfig::new([2, 4], [3, 3]).init(device),
            second: Conv2dConfig::new([4, 6], [3, 3]).with_stride([2, 2]).init(device),
            head: LinearConfig::new(6, 3).init(device),
        })
    }

    fn loss(&self, step: usize) -> Tensor<1> {
        let images = tensor([8, 2, 7, 7], 1000 + 2 * step, &self.head.weight.val().device());
        let features = self.second.forward(self.first.forward(images).tanh()).tanh();
        let [samples, channels, ..] = features.dims();
        let pooled = features.reshape([samples as i64, channels as i64, -1]).mean_dim(2);
        mean_square(self.head.forward(pooled.reshape([samples, channels])), step)
    }
}

#[derive(Module, Debug)]
pub struct Recurrent {
    lstm: Lstm,
    head: Linear,
}

impl Model for Recurrent {
    const NAME: &str = "an LSTM";

    fn new(device: &Device) -> Self {
        started(Self {
            lstm: LstmConfig::new(3, 6, true).init(device),
            head: LinearConfig::new(6, 2).init(device),
        })
    }

    fn loss(&self, step: usize) -> Tensor<1> {
        let sequences = tensor([8, 5, 3], 1000 + 2 * step, &self.head.weight.val().device());
        let (_, state) = self.lstm.forward(sequences, None);
        mean_square(self.head.forward(state.hidden), step)
    }
}
