//! Parameters and gradients of the list's shapes.

use burn::{
    module::{Module, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};

/// Parameters of every rank that there is.
#[derive(Module, Debug)]
pub struct Weights {
    vectors: Vec<Param<Tensor<1>>>,
    matrices: Vec<Param<Tensor<2>>>,
    kernels: Vec<Param<Tensor<4>>>,
}

/// Gradients in the same order, which stay from step to step.
pub struct Gradients {
    vectors: Vec<Tensor<1>>,
    matrices: Vec<Tensor<2>>,
    kernels: Vec<Tensor<4>>,
}

impl Weights {
    pub fn new(shapes: &[Vec<usize>], device: &Device) -> Result<Self, String> {
        let Gradients { vectors, matrices, kernels } = Gradients::seeded(shapes, 0, device)?;
        Ok(Self { vectors: params(vectors), matrices: params(matrices), kernels: params(kernels) })
    }
}

fn params<const D: usize>(tensors: Vec<Tensor<D>>) -> Vec<Param<Tensor<D>>> {
    tensors.into_iter().map(|tensor| Param::from_tensor(tensor.require_grad())).collect()
}

impl Gradients {
    /// On a device without gradients: those of a backward pass record nothing themselves.
    pub fn new(shapes: &[Vec<usize>], device: &Device) -> Result<Self, String> {
        Self::seeded(shapes, 1, device)
    }

    fn seeded(shapes: &[Vec<usize>], seed: u64, device: &Device) -> Result<Self, String> {
        let mut made = Self { vectors: vec![], matrices: vec![], kernels: vec![] };
        for (shape, place) in shapes.iter().zip(0..) {
            let values = noise(shape.iter().product(), 2 * place + seed);
            let data = TensorData::new(values, shape.clone());
            match shape.len() {
                1 => made.vectors.push(Tensor::from_data(data, device)),
                2 => made.matrices.push(Tensor::from_data(data, device)),
                4 => made.kernels.push(Tensor::from_data(data, device)),
                rank => return Err(format!("no tensor of rank {rank} is expected")),
            }
        }
        Ok(made)
    }

    /// For these parameters.
    pub fn of(&self, weights: &Weights) -> GradientsParams {
        let mut all = GradientsParams::new();
        register(&mut all, &weights.vectors, &self.vectors);
        register(&mut all, &weights.matrices, &self.matrices);
        register(&mut all, &weights.kernels, &self.kernels);
        all
    }
}

fn register<const D: usize>(all: &mut GradientsParams, params: &[Param<Tensor<D>>], gradients: &[Tensor<D>]) {
    for (param, gradient) in params.iter().zip(gradients) {
        all.register(param.id, gradient.clone());
    }
}

/// Values in [-1, 1): memory of zeros can be read faster than any other.
fn noise(len: usize, seed: u64) -> Vec<f32> {
    // SplitMix64 (Steele, Lea, Flood, 2014).
    let mut state = seed.wrapping_mul(0xd134_2543_de82_ef95);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..len).map(|_| ((next() >> 40) as f32) / (1u32 << 23) as f32 - 1.0).collect()
}
