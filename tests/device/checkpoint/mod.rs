//! Checkpoints: a run that stops and goes on is bit-equal to one that never stopped.

mod begin;
mod resume;
mod settings;
mod weights;
