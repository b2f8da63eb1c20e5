//! What every optimizer here can do, and the settings that all have.

use std::error::Error;

use clap::ValueEnum;

/// What can end the benchmark.
pub type Failure = Box<dyn Error>;

/// Steps of a cycle.
pub const K: u32 = 5;
/// Of Lookahead.
pub const ALPHA: f64 = 0.5;
/// Of Adam.
pub const LEARNING_RATE: f64 = 0.01;
pub const BETAS: (f64, f64) = (0.9, 0.999);
/// PyTorch's; Burn's default is another.
pub const EPS: f64 = 1e-8;

/// What is stepped.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Method {
    Adam,
    Lookahead,
}

impl Method {
    pub const ALL: [Self; 2] = [Self::Adam, Self::Lookahead];

    pub fn title(self) -> &'static str {
        match self {
            Self::Adam => "Adam",
            Self::Lookahead => "Lookahead(Adam)",
        }
    }

    /// What a step must move for each parameter, averaged over a cycle: weights, gradient and two moments are read, all but
    /// the gradient written; a sync reads and writes the slow weights besides.
    pub fn bytes(self) -> f64 {
        match self {
            Self::Adam => 28.0,
            Self::Lookahead => 28.0 + 8.0 / f64::from(K),
        }
    }
}

/// An optimizer with weights, gradients and state on the device.
pub trait Peer {
    /// Takes so many steps, and waits until the device has done them.
    fn step(&mut self, count: u32) -> Result<(), Failure>;

    /// Gives every tensor another gradient.
    fn set_gradients(&mut self, gradients: &[Vec<f32>]) -> Result<(), Failure>;

    /// The fast weights of every tensor.
    fn weights(&mut self) -> Result<Vec<Vec<f32>>, Failure>;
}
