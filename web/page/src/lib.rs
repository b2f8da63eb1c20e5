//! The page.
#![cfg(target_arch = "wasm32")]
