//! The Lookahead optimizer for JavaScript, on WebGPU.
#![cfg(target_arch = "wasm32")]

mod begun;
mod device;
mod given;
mod optimizer;
mod options;
mod own;
mod problem;
mod rules;
mod types;

use wasm_bindgen::prelude::wasm_bindgen;

/// Says on the console what went wrong where the code has a fault; all else is thrown.
#[wasm_bindgen(start, skip_typescript)]
fn start() {
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&panic.to_string().into());
    }));
}
