//! The library's tests, run in a browser, and the text of its kernels, for the compilers of browsers.
#![cfg(target_arch = "wasm32")]

#[path = "../../../tests/common/mod.rs"]
#[macro_use]
mod common;

#[path = "../../../tests/device/adafactor.rs"]
mod adafactor;
#[path = "../../../tests/device/anderson.rs"]
mod anderson;
#[path = "../../../tests/device/average.rs"]
mod average;
#[path = "../../../tests/device/between.rs"]
mod between;
#[path = "../../../tests/device/double.rs"]
mod double;
#[path = "../../../tests/device/golden.rs"]
mod golden;
#[path = "../../../tests/device/guard.rs"]
mod guard;
#[path = "../../../tests/device/half.rs"]
mod half;
#[path = "../../../tests/device/lookahead.rs"]
mod lookahead;
#[path = "../../../tests/device/options.rs"]
mod options;
#[path = "../../../tests/golden/mod.rs"]
mod runs;
#[path = "../../../tests/sources/mod.rs"]
mod sources;
#[path = "../../../tests/device/tasks.rs"]
mod tasks;
#[path = "../../../tests/device/transforms.rs"]
mod transforms;
#[path = "../../../tests/device/twin.rs"]
#[allow(dead_code, reason = "random models are made natively")]
mod twin;

mod bits;

use std::{cell::RefCell, sync::Arc};

use sources::pairs;

use common::{DeviceTest, begin_cases};
use lookahead_wgpu::{
    Error,
    gpu::Gpu,
    kernels::{Access, Source},
    wgpu,
};
use serde_json::json;
use wasm_bindgen::{JsError, prelude::wasm_bindgen};

/// The files whose tests run here, besides [`GOLDEN`].
const FILES: [(&str, &[(&str, DeviceTest)]); 12] = [
    ("adafactor", adafactor::TESTS),
    ("anderson", anderson::TESTS),
    ("average", average::TESTS),
    ("between", between::TESTS),
    ("double", double::TESTS),
    ("guard", guard::TESTS),
    ("half", half::TESTS),
    ("lookahead", lookahead::TESTS),
    ("options", options::TESTS),
    ("tasks", tasks::TESTS),
    ("transforms", transforms::TESTS),
    ("twin", twin::TESTS),
];

const GOLDEN: &str = "golden::trajectories_agree_with_torch_and_optax";

/// The tests of all files, with their names.
fn named() -> impl Iterator<Item = (String, DeviceTest)> {
    FILES
        .into_iter()
        .flat_map(|(file, tests)| tests.iter().map(move |(name, test)| (format!("{file}::{name}"), *test)))
}

/// A panic ends a test without an answer to JavaScript; what it says goes to the console.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| web_sys::console::error_1(&panic.to_string().into())));
}

/// The names of all tests.
#[wasm_bindgen]
pub fn tests() -> Vec<String> {
    std::iter::once(GOLDEN.to_owned()).chain(named().map(|(name, _)| name)).collect()
}

/// The page's device: tests run on it one after the other, so that what one has compiled the next need not.
async fn gpu() -> Result<Gpu, Error> {
    thread_local!(static GPU: RefCell<Option<Gpu>> = const { RefCell::new(None) });
    if let Some(gpu) = GPU.with_borrow(Option::clone) {
        return Ok(gpu);
    }
    let gpu = Gpu::open_web(&[]).await?;
    // Off the web these panic by themselves.
    gpu.device.on_uncaptured_error(Arc::new(|problem: wgpu::Error| {
        web_sys::console::error_1(&problem.to_string().into());
    }));
    GPU.set(Some(gpu.clone()));
    Ok(gpu)
}

/// Runs a test. What it gives is worth saying.
#[wasm_bindgen]
pub async fn run(name: String) -> Result<String, JsError> {
    let gpu = gpu().await?;
    begin_cases();
    if name == GOLDEN {
        let (compared, worst) = golden::trajectories_agree_with_torch_and_optax(&gpu).await;
        return Ok(format!("{compared} trajectories, off at most by {worst:.1e}"));
    }
    let test = named().find(|(known, _)| *known == name);
    let (_, test) = test.ok_or_else(|| JsError::new(&format!("there is no test `{name}`")))?;
    test(&gpu).await;
    Ok(String::new())
}

/// Every kernel as JSON: name, entry point, WGSL, and the sets of constants that pipelines are made with.
#[wasm_bindgen]
pub fn kernels() -> String {
    // Over several pairs of buffers, those of a plan within WebGPU's limits: 8 storage buffers.
    let fits = |source: &Source| match source.access {
        Some(Access::Several(_)) => source.wgsl.matches("var<storage").count() <= 8,
        _ => true,
    };
    let kernels =
        sources::all().chain(sources::of_tasks()).chain(sources::anderson()).filter(fits).map(|source| {
            let constants = sources::constants(&source);
            json!({ "name": source.name, "entry": source.entry, "wgsl": source.wgsl, "constants": constants })
        });
    json!(kernels.collect::<Vec<_>>()).to_string()
}
