//! Tasks: sine waves, of which points are seen.

use rand::{RngExt, rngs::SmallRng};
use serde::Serialize;
use std::f64::consts::TAU;
use std::ops::Range;

/// Where waves are looked at.
pub const DOMAIN: Range<f64> = -5.0..5.0;

/// Points that a step sees, as `gradient.wgsl` has them.
pub const POINTS: usize = 10;

/// The points of a step: x and y.
pub type Batch = [[f32; 2]; POINTS];

/// `amplitude sin(x + phase)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Wave {
    pub amplitude: f64,
    pub phase: f64,
}

impl Wave {
    pub fn random(random: &mut SmallRng) -> Self {
        Self { amplitude: random.random_range(0.1..5.0), phase: random.random_range(0.0..TAU) }
    }

    pub fn at(&self, x: f64) -> f64 {
        self.amplitude * (x + self.phase).sin()
    }

    /// Points at random.
    pub fn batch(&self, random: &mut SmallRng) -> Batch {
        std::array::from_fn(|_| {
            let x = random.random_range(DOMAIN);
            [x as f32, self.at(x) as f32]
        })
    }
}
