//! The f64 twin of all workers: rules alone, and the outer step on the mean of their weights, a tensor at a time.

use std::sync::Arc;

use lookahead_wgpu::{Outer, twin::Twin};

use crate::model::{first_weights, scripted, widened};

pub struct Twins {
    pub workers: Vec<Twin>,
    outer: Arc<dyn Outer>,
    alpha: f64,
    pub slow: Vec<Vec<f64>>,
    state: Vec<Vec<Vec<f64>>>,
    /// A tensor that is under way, and its mean.
    sent: Option<(usize, Vec<f64>)>,
}

impl Twins {
    pub fn new(
        ranks: usize,
        outer: Arc<dyn Outer>,
        alpha: f64,
        worker: impl Fn(Vec<Vec<f64>>) -> Twin,
    ) -> Self {
        let slow = widened(&first_weights());
        let zeros = vec![0.0; outer.slots().len()];
        let state = slow.iter().map(|tensor| vec![zeros.clone(); tensor.len()]).collect();
        let workers = (0..ranks).map(|_| worker(slow.clone())).collect();
        Self { workers, outer, alpha, slow, state, sent: None }
    }

    /// A step of each, with its own gradients.
    pub fn step(&mut self, at: u64, learning_rate: f64) {
        for (rank, worker) in self.workers.iter_mut().enumerate() {
            worker.step(&widened(&scripted(rank, at)), learning_rate);
        }
    }

    /// The mean of a tensor as it is now.
    pub fn send(&mut self, tensor: usize) {
        let mean = |index: usize| {
            let sum: f64 = self.workers.iter().map(|worker| worker.weights[tensor][index]).sum();
            sum / self.workers.len() as f64
        };
        self.sent = Some((tensor, (0..self.slow[tensor].len()).map(mean).collect()));
    }

    /// The outer step on what was sent, of which fast weights keep so much of their own.
    pub fn merge(&mut self, learning_rate: f64, mixing: f64) {
        let (tensor, mean) = self.sent.take().unwrap();
        for (index, theta) in mean.into_iter().enumerate() {
            let (slow, state) = (&mut self.slow[tensor][index], &mut self.state[tensor][index]);
            *slow = self.outer.step(*slow, theta, self.alpha, learning_rate, state);
            for worker in &mut self.workers {
                let own = &mut worker.weights[tensor][index];
                *own = (1.0 - mixing) * *slow + mixing * *own;
            }
        }
    }

    /// All tensors at once, between two steps.
    pub fn round(&mut self, learning_rate: f64) {
        for tensor in 0..self.slow.len() {
            self.send(tensor);
            self.merge(learning_rate, 0.0);
        }
    }
}
