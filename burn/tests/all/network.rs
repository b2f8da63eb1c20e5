//! A small network that Burn trains, beside the same in plain f64.

use burn::{
    module::Module,
    nn::{Linear, LinearConfig},
    optim::{AdamConfig, GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor, TensorData},
};
use lookahead_burn::Lookahead;

use crate::devices::on_devices;

pub const RATE: f64 = 0.05;
const SAMPLES: usize = 16;
/// Inputs, hidden units, outputs.
const SIZES: [usize; 3] = [4, 8, 3];

#[derive(Module, Debug)]
pub struct Network {
    pub first: Linear,
    pub second: Linear,
}

impl Network {
    /// With the weights that [`initial`] gives.
    pub fn new(device: &Device) -> Self {
        let [inputs, hidden, outputs] = SIZES;
        let layer = |from, to, seed| {
            let mut layer = LinearConfig::new(from, to).init(device);
            let tensor = |values: Vec<f64>| TensorData::new(values, [from, to]).convert::<f32>();
            layer.weight = layer
                .weight
                .map(|old| Tensor::from_data(tensor(noise(from * to, seed)), &old.device()).require_grad());
            let bias = TensorData::new(noise(to, seed + 1), [to]).convert::<f32>();
            layer.bias =
                layer.bias.map(|old| old.map(|old| Tensor::from_data(bias, &old.device()).require_grad()));
            layer
        };
        Self { first: layer(inputs, hidden, 1), second: layer(hidden, outputs, 3) }
    }

    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.second.forward(self.first.forward(inputs).tanh())
    }

    /// Half the mean over the samples of the squared error.
    pub fn loss(&self, step: usize) -> Tensor<1> {
        let device = self.first.weight.val().device();
        let data = |values: Vec<f64>, columns| {
            Tensor::<2>::from_data(TensorData::new(values, [SAMPLES, columns]).convert::<f32>(), &device)
        };
        let (inputs, targets) = batch(step);
        let error = self.forward(data(inputs, SIZES[0])) - data(targets, SIZES[2]);
        error.square().sum() * (0.5 / SAMPLES as f64)
    }

    pub fn gradients(&self, step: usize) -> GradientsParams {
        GradientsParams::from_grads(self.loss(step).backward(), self)
    }

    /// All weights: each layer's matrix and bias.
    pub fn values(&self) -> Vec<f32> {
        let layer = |layer: &Linear| {
            let mut values = layer.weight.val().into_data().try_to_vec::<f32>().unwrap();
            values.extend(layer.bias.as_ref().unwrap().val().into_data().try_to_vec::<f32>().unwrap());
            values
        };
        [layer(&self.first), layer(&self.second)].concat()
    }
}

/// Values in (-0.5, 0.5) that f32 has exactly.
pub fn noise(len: usize, seed: usize) -> Vec<f64> {
    let mut state = seed as u32 * 7919 + 17;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24) - 0.5
    };
    // The first values of neighbouring seeds are alike.
    let skipped = 8;
    (0..skipped + len).map(|_| next()).skip(skipped).collect()
}

fn batch(step: usize) -> (Vec<f64>, Vec<f64>) {
    (noise(SAMPLES * SIZES[0], 100 + 2 * step), noise(SAMPLES * SIZES[2], 101 + 2 * step))
}

/// The weights before training, in the order of [`Network::values`].
fn initial() -> Vec<f64> {
    let [inputs, hidden, outputs] = SIZES;
    [noise(inputs * hidden, 1), noise(hidden, 2), noise(hidden * outputs, 3), noise(outputs, 4)].concat()
}

/// The loss's gradient at these weights.
fn gradient(weights: &[f64], step: usize) -> Vec<f64> {
    let [inputs, hidden, outputs] = SIZES;
    let (first, rest) = weights.split_at(inputs * hidden);
    let (first_bias, rest) = rest.split_at(hidden);
    let (second, second_bias) = rest.split_at(hidden * outputs);
    let mut gradient = vec![0.0; weights.len()];
    let (g_first, rest) = gradient.split_at_mut(inputs * hidden);
    let (g_first_bias, rest) = rest.split_at_mut(hidden);
    let (g_second, g_second_bias) = rest.split_at_mut(hidden * outputs);
    let (x, y) = batch(step);
    for (x, y) in x.chunks(inputs).zip(y.chunks(outputs)) {
        let sum = |j: usize| (0..inputs).map(|i| x[i] * first[i * hidden + j]).sum::<f64>() + first_bias[j];
        let h: Vec<f64> = (0..hidden).map(|j| sum(j).tanh()).collect();
        let mut back = vec![0.0; hidden];
        for o in 0..outputs {
            let output = (0..hidden).map(|j| h[j] * second[j * outputs + o]).sum::<f64>() + second_bias[o];
            let error = (output - y[o]) / SAMPLES as f64;
            g_second_bias[o] += error;
            for j in 0..hidden {
                g_second[j * outputs + o] += error * h[j];
                back[j] += error * second[j * outputs + o];
            }
        }
        for j in 0..hidden {
            let error = back[j] * (1.0 - h[j] * h[j]);
            g_first_bias[j] += error;
            for i in 0..inputs {
                g_first[i * hidden + j] += error * x[i];
            }
        }
    }
    gradient
}

/// What is done to gradients before a step.
#[derive(Clone, Copy)]
pub enum Clipped {
    Not,
    /// As `torch.nn.utils.clip_grad_norm_`.
    ByGlobalNorm(f64),
}

/// Fast and slow weights after so many steps of Lookahead(Adam), in f64, by the paper's algorithm.
pub fn reference(steps: usize, k: usize, alpha: f64) -> (Vec<f64>, Vec<f64>) {
    reference_with(steps, k, alpha, Clipped::Not)
}

/// [`reference`], with gradients clipped.
pub fn reference_with(steps: usize, k: usize, alpha: f64, clipped: Clipped) -> (Vec<f64>, Vec<f64>) {
    let (beta_1, beta_2, epsilon) = (0.9f64, 0.999f64, 1e-5);
    let mut fast = initial();
    let mut slow = fast.clone();
    let (mut first, mut second) = (vec![0.0; fast.len()], vec![0.0; fast.len()]);
    for step in 0..steps {
        let gradient = gradient(&fast, step);
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let factor = match clipped {
            Clipped::Not => 1.0,
            Clipped::ByGlobalNorm(most) => (most / (norm + 1e-6)).min(1.0),
        };
        let time = step as i32 + 1;
        for (i, g) in gradient.into_iter().map(|g| g * factor).enumerate() {
            first[i] = beta_1 * first[i] + (1.0 - beta_1) * g;
            second[i] = beta_2 * second[i] + (1.0 - beta_2) * g * g;
            let corrected = (second[i] / (1.0 - beta_2.powi(time))).sqrt() + epsilon;
            fast[i] -= RATE * first[i] / (1.0 - beta_1.powi(time)) / corrected;
        }
        if (step + 1).is_multiple_of(k) {
            for (slow, fast) in slow.iter_mut().zip(&fast) {
                *slow += alpha * (fast - *slow);
            }
            fast.clone_from(&slow);
        }
    }
    (fast, slow)
}

/// The largest error, relative to values above one.
pub fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    let errors =
        pairs.map(|(found, expected)| (f64::from(*found) - expected).abs() / expected.abs().max(1.0));
    errors.fold(0.0, |worst, error| if error.is_nan() { f64::INFINITY } else { worst.max(error) })
}

/// Adam with Burn's defaults, which [`reference`] has, too.
pub fn lookahead(k: u32, alpha: f64) -> ModuleOptimizer {
    Lookahead::new(AdamConfig::new().build(), k, alpha).unwrap().into()
}

#[test]
fn a_network_is_trained_as_in_f64() {
    on_devices(|device| {
        let mut network = Network::new(device);
        let mut optimizer = lookahead(5, 0.5);
        for step in 0..60 {
            network = optimizer.step(RATE, network.clone(), network.gradients(step));
            if ![1, 4, 5, 6, 58, 60].contains(&(step + 1)) {
                continue;
            }
            let (fast, slow) = reference(step + 1, 5, 0.5);
            let errors = [
                error(&network.values(), &fast),
                error(&lookahead_burn::slow(&network, &optimizer).values(), &slow),
            ];
            assert!(errors.iter().all(|error| *error < 2e-5), "{errors:?} after step {step} on {device:?}");
        }
    });
}

/// At an alpha of 1 not a bit differs from the inner optimizer.
#[test]
fn an_alpha_of_one_is_the_inner_optimizer() {
    on_devices(|device| {
        let train = |mut optimizer: ModuleOptimizer| {
            let network = (0..7).fold(Network::new(device), |network, step| {
                optimizer.step(RATE, network.clone(), network.gradients(step))
            });
            network.values()
        };
        assert_eq!(train(lookahead(2, 1.0)), train(AdamConfig::new().init()));
    });
}
