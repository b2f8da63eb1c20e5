//! The library's tests, run in a browser.
#![cfg(target_arch = "wasm32")]
