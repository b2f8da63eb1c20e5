//! The Lookahead optimizer for JavaScript, on WebGPU.
#![cfg(target_arch = "wasm32")]
