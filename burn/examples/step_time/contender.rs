//! What is timed: optimizers that step a module of their own with the same gradients.

use std::error::Error;

use burn::{
    optim::{AdamConfig, ModuleOptimizer},
    tensor::wgpu::WgpuSetup,
};
use lookahead_burn::{
    Lookahead, ModuleLookahead,
    lookahead_wgpu::{self, Optimizer, rules::Adam},
};

use crate::{
    ALPHA, K, RATE,
    weights::{Gradients, Weights},
};

pub type Failure = Box<dyn Error>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    Adam,
    Lookahead,
}

impl Method {
    fn title(self) -> &'static str {
        match self {
            Self::Adam => "Adam",
            Self::Lookahead => "Lookahead(Adam)",
        }
    }

    /// Bytes a value that a step must move, averaged over a cycle: Adam reads gradient, weights and two moments, and writes
    /// the latter three; a sync reads slow weights, and writes them.
    fn bytes(self) -> f64 {
        match self {
            Self::Adam => 28.0,
            Self::Lookahead => 28.0 + 8.0 / f64::from(K),
        }
    }
}

pub trait Contender {
    fn title(&self) -> String;

    fn method(&self) -> Method;

    /// Does not wait for the device.
    fn step(&mut self, gradients: &Gradients) -> Result<(), Failure>;

    /// Bytes a value that a step must move.
    fn bytes(&self) -> f64 {
        self.method().bytes()
    }

    /// Compute dispatches of the last step, where that is known.
    fn dispatches(&self) -> Option<usize> {
        None
    }

    /// Parameters that the last step copied before it wrote them, where that is known.
    fn copied(&self) -> Option<usize> {
        None
    }
}

/// [`ModuleLookahead`].
pub struct Ours {
    method: Method,
    /// There but within a step, which consumes it.
    weights: Option<Weights>,
    keeps_clone: bool,
    optimizer: ModuleLookahead,
}

impl Ours {
    pub fn new(
        weights: Weights,
        method: Method,
        setup: &WgpuSetup,
        keeps_clone: bool,
    ) -> Result<Self, Failure> {
        let builder = Optimizer::builder(Adam::new(RATE));
        let builder = match method {
            Method::Adam => builder,
            Method::Lookahead => builder.lookahead(lookahead_wgpu::Lookahead::new(K, ALPHA)),
        };
        let optimizer = ModuleLookahead::new(builder, &weights, setup)?;
        Ok(Self { method, weights: Some(weights), keeps_clone, optimizer })
    }
}

impl Contender for Ours {
    fn title(&self) -> String {
        let clone = if self.keeps_clone { ", a clone kept" } else { "" };
        format!("`ModuleLookahead`: {}{clone}", self.method.title())
    }

    fn method(&self) -> Method {
        self.method
    }

    fn step(&mut self, gradients: &Gradients) -> Result<(), Failure> {
        let weights = self.weights.take().ok_or("an earlier step has failed")?;
        let gradients = gradients.of(&weights);
        let clone = self.keeps_clone.then(|| weights.clone());
        self.weights = Some(self.optimizer.step(weights, gradients)?);
        drop(clone);
        Ok(())
    }

    fn bytes(&self) -> f64 {
        // A copy is read and written.
        self.method.bytes() + if self.keeps_clone { 8.0 } else { 0.0 }
    }

    fn dispatches(&self) -> Option<usize> {
        Some(self.optimizer.dispatches())
    }

    fn copied(&self) -> Option<usize> {
        Some(self.optimizer.copied())
    }
}

/// Burn's Adam, or [`Lookahead`] around it.
pub struct Theirs {
    method: Method,
    weights: Option<Weights>,
    optimizer: ModuleOptimizer,
}

impl Theirs {
    pub fn new(weights: Weights, method: Method) -> Result<Self, Failure> {
        let adam = AdamConfig::new().with_epsilon(1e-8);
        let optimizer = match method {
            Method::Adam => adam.init(),
            Method::Lookahead => Lookahead::new(adam.build(), K, ALPHA)?.into(),
        };
        Ok(Self { method, weights: Some(weights), optimizer })
    }
}

impl Contender for Theirs {
    fn title(&self) -> String {
        match self.method {
            Method::Adam => "Burn's `Adam`".to_owned(),
            Method::Lookahead => "`Lookahead` around Burn's `Adam`".to_owned(),
        }
    }

    fn method(&self) -> Method {
        self.method
    }

    fn step(&mut self, gradients: &Gradients) -> Result<(), Failure> {
        let weights = self.weights.take().ok_or("an earlier step has failed")?;
        let gradients = gradients.of(&weights);
        self.weights = Some(self.optimizer.step(RATE, weights, gradients));
        Ok(())
    }
}
