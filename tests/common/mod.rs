//! What the tests on devices share: every adapter present, and small conveniences.
//! Tests named with `on_devices!` run in a browser, too, from `web/tests`: they are async, since nothing can
//! be waited for there.
#![allow(dead_code, unused_imports, unused_macros)] // each test file uses a part of it

pub use lookahead_test_support::{begin_cases, buffer, read_slice_async, spared, submit};
#[cfg(not(target_arch = "wasm32"))]
pub use lookahead_test_support::{gpu, gpus, on_every_adapter, read_slice};
use lookahead_wgpu::{
    Counters, Error, Field, Optimizer, Rule, Snapshot,
    gpu::Gpu,
    rules::{Factored, Slot, Step, Trust, WeightDecay},
};

/// A test that takes a device.
pub type DeviceTest = for<'a> fn(&'a Gpu) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Makes tests of async functions that take a device: `cargo test` runs each on every adapter, and a browser
/// finds them in `TESTS`.
macro_rules! on_devices {
    ($($name:ident),* $(,)?) => {
        #[cfg(not(target_arch = "wasm32"))]
        mod on_devices {
            $(#[test] fn $name() {
                crate::common::on_every_adapter(|gpu| pollster::block_on(super::$name(gpu)));
            })*
        }
        #[cfg(target_arch = "wasm32")]
        pub const TESTS: &[(&str, crate::common::DeviceTest)] =
            &[$((stringify!($name), |gpu| Box::pin($name(gpu)))),*];
    };
}

/// A tensor's values.
pub async fn download(optimizer: &Optimizer, field: Field<'_>, tensor: &str) -> Vec<f32> {
    optimizer.download(field, tensor).await.unwrap()
}

/// The whole training state.
pub async fn export(optimizer: &Optimizer) -> Snapshot {
    optimizer.export().await.unwrap()
}

/// What is counted on the device.
pub async fn counters(optimizer: &Optimizer) -> Counters {
    optimizer.counters().await.unwrap()
}

/// The alphas of the last sync.
pub async fn alphas(optimizer: &Optimizer) -> Vec<Option<f32>> {
    optimizer.download_alphas().await.unwrap()
}

/// Whether a case runs here, given by its places in two or three lists that are crossed. A browser's software
/// adapter takes half a second over the pipelines of each case, so there every other one runs: each entry of a list
/// with some of every other list, and of three lists each two entries in some case.
pub fn runs_here(places: &[usize]) -> bool {
    cfg!(not(target_arch = "wasm32")) || places.iter().sum::<usize>().is_multiple_of(2)
}

/// Writes a tensor's gradient, before what is submitted next.
pub fn write_gradient(gpu: &Gpu, optimizer: &Optimizer, tensor: &str, values: &[f32]) {
    let slice = optimizer.gradients(tensor).unwrap();
    gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(values));
}

/// Values that look random and are the same in every run.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand::rngs::SmallRng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

pub fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// The largest difference, relative to the larger of 1 and the expected value.
#[must_use]
pub fn largest_error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let error = |(found, expected): (&f32, &f64)| {
        let error = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
        if error.is_nan() { f64::INFINITY } else { error }
    };
    found.iter().zip(expected).map(error).fold(0.0, f64::max)
}

/// A rule that several optimizers share.
#[derive(Debug, Clone)]
pub struct Shared(pub std::sync::Arc<dyn Rule>);

impl Rule for Shared {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn wgsl(&self) -> &str {
        self.0.wgsl()
    }
    fn slots(&self) -> Vec<Slot> {
        self.0.slots()
    }
    fn learning_rate(&self) -> f64 {
        self.0.learning_rate()
    }
    fn weight_decay(&self) -> WeightDecay {
        self.0.weight_decay()
    }
    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        self.0.hyper(count, out);
    }
    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        self.0.update(step, weight, gradient, state)
    }
    fn trust(&self) -> Option<Trust> {
        self.0.trust()
    }
    fn factored(&self, count: u64) -> Option<Factored> {
        self.0.factored(count)
    }
    fn measure(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        self.0.measure(step, weight, gradient, state)
    }
    fn centralises(&self) -> bool {
        self.0.centralises()
    }
    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }
}
