//! The tests that need no device: arithmetic of the host, texts, files, errors. Where an optimizer is built, it is on
//! wgpu's noop backend, which validates calls and computes nothing.

#[path = "../sources/mod.rs"]
mod sources;

mod analysis;
mod arrows;
mod checkpoint;
mod checkpoint_fuzz;
mod config;
mod counters;
mod custom_rule;
mod errors;
mod groups;
mod lengths;
mod limits;
mod memory;
mod non_monotone;
mod plan;
mod readback;
mod recording;
mod rules;
mod snapshots;
mod translate;
mod variance_reduction;
