//! Burn's Adam, through its optimizer for modules, with gradients that are given.

use burn::{
    module::{Module, Param},
    optim::{AdamConfig, GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor, TensorData},
};

use crate::{
    burn_lookahead::Lookahead,
    peer::{BETAS, EPS, Failure, LEARNING_RATE, Method, Peer},
    tensors::Tensors,
};

/// Parameters of every rank that there is.
#[derive(Module, Debug)]
struct Weights {
    vectors: Vec<Param<Tensor<1>>>,
    matrices: Vec<Param<Tensor<2>>>,
    kernels: Vec<Param<Tensor<4>>>,
}

/// Gradients in the same order.
#[derive(Default)]
struct Gradients {
    vectors: Vec<Tensor<1>>,
    matrices: Vec<Tensor<2>>,
    kernels: Vec<Tensor<4>>,
}

struct InBurn {
    device: Device,
    shapes: Vec<Vec<usize>>,
    /// There but within a step, which consumes them.
    weights: Option<Weights>,
    gradients: Gradients,
    optimizer: ModuleOptimizer,
}

pub fn make(device: &Device, tensors: &Tensors, method: Method) -> Result<Box<dyn Peer>, Failure> {
    let adam =
        AdamConfig::new().with_beta_1(BETAS.0 as f32).with_beta_2(BETAS.1 as f32).with_epsilon(EPS as f32);
    let optimizer = match method {
        Method::Adam => adam.init(),
        Method::Lookahead => Lookahead::new(adam.build()).into(),
    };
    let mut weights = Weights { vectors: vec![], matrices: vec![], kernels: vec![] };
    for (tensor, shape) in tensors.shapes.iter().enumerate() {
        let data = TensorData::new(tensors.weights(tensor), shape.clone());
        match shape.len() {
            1 => weights.vectors.push(Param::from_data(data, device)),
            2 => weights.matrices.push(Param::from_data(data, device)),
            4 => weights.kernels.push(Param::from_data(data, device)),
            rank => return Err(format!("no tensor of rank {rank} is expected").into()),
        }
    }
    let mut peer = InBurn {
        device: device.clone(),
        shapes: tensors.shapes.clone(),
        weights: Some(weights),
        gradients: Gradients::default(),
        optimizer,
    };
    let gradients: Vec<Vec<f32>> = (0..tensors.shapes.len()).map(|tensor| tensors.gradient(tensor)).collect();
    peer.set_gradients(&gradients)?;
    Ok(Box::new(peer))
}

impl InBurn {
    fn wait(&self) -> Result<(), Failure> {
        // With fusion this also carries out what is still only noted down.
        self.device.sync().map_err(|problem| format!("Burn: {problem}").into())
    }
}

/// Gives parameters their gradients, which stay for the next step.
fn register<const D: usize>(all: &mut GradientsParams, params: &[Param<Tensor<D>>], gradients: &[Tensor<D>]) {
    for (param, gradient) in params.iter().zip(gradients) {
        all.register(param.id, gradient.clone());
    }
}

impl Peer for InBurn {
    fn step(&mut self, count: u32) -> Result<(), Failure> {
        for _ in 0..count {
            let weights = self.weights.take().ok_or("an earlier step has failed")?;
            let mut gradients = GradientsParams::new();
            register(&mut gradients, &weights.vectors, &self.gradients.vectors);
            register(&mut gradients, &weights.matrices, &self.gradients.matrices);
            register(&mut gradients, &weights.kernels, &self.gradients.kernels);
            self.weights = Some(self.optimizer.step(LEARNING_RATE, weights, gradients));
        }
        self.wait()
    }

    fn set_gradients(&mut self, gradients: &[Vec<f32>]) -> Result<(), Failure> {
        // Gradients as they come from a backward pass record nothing themselves.
        let device = self.device.clone().without_autodiff();
        let mut all = Gradients::default();
        for (shape, gradient) in self.shapes.iter().zip(gradients) {
            let data = TensorData::new(gradient.clone(), shape.clone());
            match shape.len() {
                1 => all.vectors.push(Tensor::from_data(data, &device)),
                2 => all.matrices.push(Tensor::from_data(data, &device)),
                _ => all.kernels.push(Tensor::from_data(data, &device)),
            }
        }
        self.gradients = all;
        self.wait()
    }

    fn weights(&mut self) -> Result<Vec<Vec<f32>>, Failure> {
        let weights = self.weights.as_ref().ok_or("an earlier step has failed")?;
        let mut vectors = weights.vectors.iter().map(values);
        let mut matrices = weights.matrices.iter().map(values);
        let mut kernels = weights.kernels.iter().map(values);
        let next = |shape: &Vec<usize>| match shape.len() {
            1 => vectors.next(),
            2 => matrices.next(),
            _ => kernels.next(),
        };
        self.shapes.iter().filter_map(next).collect()
    }
}

fn values<const D: usize>(param: &Param<Tensor<D>>) -> Result<Vec<f32>, Failure> {
    let data = param.val().inner().try_into_data().map_err(|problem| format!("Burn: {problem}"))?;
    data.try_to_vec().map_err(|problem| format!("Burn: {problem}").into())
}
