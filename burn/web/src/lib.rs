//! `ModuleLookahead` in a browser: the network of `tests/all/network.rs`, beside the same in f64.
#![cfg(target_arch = "wasm32")]

#[path = "../../tests/all/network.rs"]
#[allow(dead_code, unused_imports)] // its tests run natively
mod network;
/// What the network's tests ask for natively.
mod devices {
    pub fn on_devices(_: impl Fn(&burn::tensor::Device)) {}
}

use std::fmt::Display;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Tensor, Transaction},
};
use lookahead_burn::{
    ModuleLookahead,
    lookahead_wgpu::{Lookahead, Optimizer, Snapshot, rules::Adam},
};
use wasm_bindgen::{JsError, prelude::wasm_bindgen};

use network::{Network, RATE, error, reference};

const STEPS: usize = 23;

fn js(problem: impl Display) -> JsError {
    JsError::new(&problem.to_string())
}

/// Trains with clones kept, and a checkpoint that another optimizer goes on from; compares fast and slow weights after each
/// step, and says how far they were off at most.
#[wasm_bindgen]
pub async fn run() -> Result<String, JsError> {
    let (device, setup) = Device::wgpu_options().init_with_setup_async().await.map_err(js)?;
    let device = device.autodiff();
    let settings = || Optimizer::builder(Adam::new(RATE).eps(1e-5)).lookahead(Lookahead::new(5, 0.5));
    let mut network = Network::new(&device);
    let mut optimizer = ModuleLookahead::new_async(settings(), &network, &setup).await.map_err(js)?;
    let mut worst = 0.0f64;
    let mut kept = vec![];
    for step in 0..STEPS {
        if step % 4 == 3 {
            kept.push((network.clone(), values(&network).await?));
        }
        if step == 12 {
            let bytes = optimizer.optimizer().export().await.and_then(|it| it.to_bytes()).map_err(js)?;
            let snapshot = Snapshot::from_bytes(&bytes).map_err(js)?;
            let other = Network::new(&device);
            optimizer = ModuleLookahead::new_async(settings(), &other, &setup).await.map_err(js)?;
            network = optimizer.import_async(other, &snapshot).await.map_err(js)?;
        }
        let gradients = network.gradients(step);
        network = optimizer.step_async(network, gradients).await.map_err(js)?;
        let slow = optimizer.slow_async(&network).await.map_err(js)?;
        let (fast, expected_slow) = reference(step + 1, 5, 0.5);
        worst = worst.max(error(&values(&network).await?, &fast));
        worst = worst.max(error(&values(&slow).await?, &expected_slow));
    }
    for (clone, before) in &kept {
        if values(clone).await? != *before {
            return Err(js("a clone has lost its weights"));
        }
    }
    if worst < 2e-5 {
        Ok(format!("{STEPS} steps, off by at most {worst:.1e}"))
    } else {
        Err(js(format!("off by {worst:e}")))
    }
}

/// All weights, in the order of [`Network::values`], which waits.
async fn values(network: &Network) -> Result<Vec<f32>, JsError> {
    #[derive(Default)]
    struct Visit(Option<Transaction>);
    impl ModuleVisitor for Visit {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 = self.0.take().map(|all| all.register(param.val().inner()));
        }
    }
    let mut visit = Visit(Some(Transaction::default()));
    network.visit(&mut visit);
    let all =
        visit.0.unwrap_or_default().execute_async().await.map_err(|problem| js(format!("{problem:?}")))?;
    let mut values = vec![];
    for data in all {
        values.extend(data.try_to_vec::<f32>().map_err(|problem| js(format!("{problem:?}")))?);
    }
    Ok(values)
}
