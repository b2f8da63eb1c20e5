//! The tensors that all step, and their values.

use clap::ValueEnum;

use crate::resnet50;

/// Which ones.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum List {
    /// The 161 tensors of ResNet-50: 25.6 million values
    Resnet50,
    /// As many of a network an eighth as wide: 0.6 million values
    Small,
}

impl List {
    pub fn name(self) -> &'static str {
        match self {
            Self::Resnet50 => "resnet50",
            Self::Small => "small",
        }
    }

    pub fn tensors(self) -> Tensors {
        let width = match self {
            Self::Resnet50 => resnet50::WIDTH,
            Self::Small => resnet50::WIDTH / 8,
        };
        Tensors { shapes: resnet50::tensors(width).into_iter().map(|(_, shape)| shape).collect() }
    }
}

/// Tensors with values that look random: memory of zeros can be read faster than any other.
pub struct Tensors {
    pub shapes: Vec<Vec<usize>>,
}

impl Tensors {
    pub fn len(&self, tensor: usize) -> usize {
        self.shapes[tensor].iter().product()
    }

    pub fn values(&self) -> usize {
        (0..self.shapes.len()).map(|tensor| self.len(tensor)).sum()
    }

    /// What the weights begin as.
    pub fn weights(&self, tensor: usize) -> Vec<f32> {
        noise(self.len(tensor), 2 * tensor as u64)
    }

    /// The gradient of every timed step.
    pub fn gradient(&self, tensor: usize) -> Vec<f32> {
        noise(self.len(tensor), 2 * tensor as u64 + 1)
    }
}

/// Values in [-1, 1), the same for every program.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
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
