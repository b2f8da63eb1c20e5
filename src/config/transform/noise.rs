//! Gradient noise.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::contract::{Context, Transform};
use crate::error::{Error, check_hyperparameter};

/// Annealed Gaussian noise (Neelakantan et al., "Adding gradient noise improves learning for very deep networks", 2015):
///
/// ```text
/// g <- g + N(0, s^2),   s^2 = eta / (1 + t)^gamma
/// ```
///
/// t being the steps taken before. The paper's eta is 0.01, 0.3 or 1 and its gamma 0.55; `optax.add_noise` has the same
/// formula. Where gradients are clipped, too, the noise comes after that.
///
/// The noise depends on the seed, the step, the tensor's number and the value's, and on nothing else: it is the same on every
/// device, as far as their `log` and `pow` agree, and after a checkpoint goes on where it was. Micro-batches
/// and a step that a guard skips draw none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientNoise {
    /// eta, the variance at the first step, at least 0.
    pub eta: f64,
    /// gamma, how fast the variance falls, at least 0.
    #[serde(default = "GradientNoise::default_gamma")]
    pub gamma: f64,
    /// Another seed is other noise.
    #[serde(default)]
    pub seed: u32,
}

impl GradientNoise {
    fn default_gamma() -> f64 {
        0.55
    }

    /// With this variance at the first step, gamma 0.55 and seed 0.
    pub fn new(eta: f64) -> Self {
        Self { eta, gamma: Self::default_gamma(), seed: 0 }
    }

    /// With this gamma.
    pub fn gamma(self, gamma: f64) -> Self {
        Self { gamma, ..self }
    }

    /// With this seed.
    pub fn seed(self, seed: u32) -> Self {
        Self { seed, ..self }
    }

    /// Four normal numbers, those of a tensor's values from `value` on.
    fn normal(&self, tensor: u32, value: u32, step: u32) -> [f64; 4] {
        pcg4d([value, tensor, step, self.seed])
            .map(|bits| normal((f64::from(bits >> 9) + 0.5) / f64::from(1 << 22) - 1.0))
    }
}

/// A normal number from a uniform one in (-1, 1): sqrt(2) times the inverse error function (Giles, "Approximating the
/// erfinv function", 2010), to 7 digits.
fn normal(u: f64) -> f64 {
    let near = [
        2.810_226_36e-8,
        3.432_739_39e-7,
        -3.523_387_7e-6,
        -4.391_506_54e-6,
        2.185_808_7e-4,
        -1.253_725_03e-3,
        -4.177_681_64e-3,
        0.246_640_727,
        1.501_409_41,
    ];
    let far = [
        -2.002_142_57e-4,
        1.009_505_58e-4,
        1.349_343_22e-3,
        -3.673_428_44e-3,
        5.739_507_73e-3,
        -7.622_461_3e-3,
        9.438_870_47e-3,
        1.001_674_06,
        2.832_976_82,
    ];
    let w = -((1.0 - u) * (1.0 + u)).ln();
    let (coefficients, at) = if w < 5.0 { (near, w - 2.5) } else { (far, w.sqrt() - 3.0) };
    std::f64::consts::SQRT_2 * u * coefficients.into_iter().reduce(|sum, next| sum * at + next).unwrap_or(0.0)
}

/// Random bits by number (Jarzynski and Olano, "Hash functions for GPU rendering", 2020).
fn pcg4d(number: [u32; 4]) -> [u32; 4] {
    let [mut x, mut y, mut z, mut w] = number.map(|n| n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    for round in 0..2 {
        x = x.wrapping_add(y.wrapping_mul(w));
        y = y.wrapping_add(z.wrapping_mul(x));
        z = z.wrapping_add(x.wrapping_mul(y));
        w = w.wrapping_add(y.wrapping_mul(z));
        if round == 0 {
            [x, y, z, w] = [x, y, z, w].map(|bits| bits ^ (bits >> 16));
        }
    }
    [x, y, z, w]
}

impl Transform for GradientNoise {
    fn name(&self) -> &str {
        "gradient_noise"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../../shaders/transforms/gradient_noise.wgsl")
    }

    fn coefficients(&self) -> [f32; 4] {
        let halves = [self.seed & 0xffff, self.seed >> 16].map(|half| half as f32);
        [self.eta.sqrt() as f32, (self.gamma / 2.0) as f32, halves[0], halves[1]]
    }

    fn apply(&self, gradients: &mut [Vec<f64>], context: &Context<'_>) {
        let deviation = self.eta.sqrt() * (1.0 + context.step as f64).powf(-self.gamma / 2.0);
        for (tensor, gradient) in gradients.iter_mut().enumerate() {
            for (number, four) in gradient.chunks_mut(4).enumerate() {
                let normal = self.normal(tensor as u32, 4 * number as u32, context.step as u32);
                four.iter_mut().zip(normal).for_each(|(value, normal)| *value += deviation * normal);
            }
        }
    }

    fn settings(&self) -> Option<Value> {
        Some(json!({ "gradient_noise": { "eta": self.eta, "gamma": self.gamma, "seed": self.seed } }))
    }

    fn check(&self) -> Result<(), Error> {
        for (name, value) in [("eta", self.eta), ("gamma", self.gamma)] {
            check_hyperparameter(name, value, |value| value >= 0.0, "finite and at least 0")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits are those of the authors' code, run with a C compiler.
    #[test]
    fn bits_are_those_of_pcg4d() {
        let known = [
            ([0, 0, 0, 0], [251_852_841, 760_645_481, 850_445_371, 3_542_436_074]),
            ([1, 2, 3, 4], [908_250_390, 4_044_648_920, 3_775_961_919, 45_698_095]),
            ([4096, 1, 77, 0x9e37_79b9], [1_315_543_014, 871_943_146, 527_780_485, 1_080_467_751]),
            ([u32::MAX, u32::MAX - 1, 5, 0], [2_654_339_321, 2_938_433_239, 3_010_750_254, 2_012_367_184]),
        ];
        for (number, bits) in known {
            assert_eq!(pcg4d(number), bits);
        }
    }

    /// Mean, variance, skewness and kurtosis are the normal distribution's, and values do not go together.
    #[test]
    fn noise_is_normal_and_independent() {
        let mut gradients = vec![vec![0.0; 200_000]; 2];
        let noise = GradientNoise::new(4.0).seed(7);
        noise.apply(&mut gradients, &Context { shapes: &[], step: 0, gradient_scale: 1.0 });
        let moment = |power: i32| {
            gradients.iter().flatten().map(|value| (value / 2.0f64).powi(power)).sum::<f64>() / 400_000.0
        };
        // Four standard errors: 1, sqrt 2, sqrt 15, sqrt 96, over sqrt(400,000).
        for (power, due, error) in [(1, 0.0, 1.0), (2, 1.0, 1.41), (3, 0.0, 3.9), (4, 3.0, 9.8)] {
            assert!((moment(power) - due).abs() < 4.0 * error / 632.0, "moment {power}: {}", moment(power));
        }
        let covariance = |ahead: usize| {
            let pairs = gradients[0].iter().zip(&gradients[0][ahead..]);
            pairs.map(|(one, other)| one * other / 4.0).sum::<f64>() / (200_000 - ahead) as f64
        };
        for ahead in 1..=4 {
            assert!(covariance(ahead).abs() < 4.0 / 447.0, "{ahead} apart: {}", covariance(ahead));
        }
        let across = gradients[0].iter().zip(&gradients[1]).map(|(a, b)| a * b / 4.0).sum::<f64>() / 2e5;
        assert!(across.abs() < 4.0 / 447.0, "of two tensors: {across}");
    }

    #[test]
    fn the_variance_falls_with_the_steps() {
        let noise = GradientNoise::new(0.3);
        let at = |step: u64| {
            let mut gradients = vec![vec![0.0; 40_000]];
            noise.apply(&mut gradients, &Context { shapes: &[], step, gradient_scale: 1.0 });
            gradients[0].iter().map(|value| value * value).sum::<f64>() / 40_000.0
        };
        for step in [0, 1, 9, 999] {
            let due = 0.3 / (1.0 + step as f64).powf(0.55);
            assert!((at(step) / due - 1.0).abs() < 4.0 * (2.0f64 / 40_000.0).sqrt(), "step {step}");
        }
    }
}
