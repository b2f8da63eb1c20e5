//! The tests that need a device: each runs on every adapter that is there, and those of the files that `web/tests`
//! names run in a browser, too.
//!
//! They run side by side, each on devices that are its own meanwhile and another test's afterwards: a test that changes
//! a device's limits, destroys it, or needs one on which nothing was made opens its own.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;
#[path = "../pairs/mod.rs"]
mod pairs;
#[path = "../golden/reduced/mod.rs"]
mod regression;
#[path = "../golden/mod.rs"]
mod runs;

mod adafactor;
mod adapters;
mod anderson;
mod autotune;
mod average;
mod between;
mod checkpoint;
mod custom_rule;
mod double;
mod examples;
mod extremes;
mod foreign;
mod frozen;
mod golden;
mod groups;
mod guard;
mod half;
mod katyusha;
mod limits;
mod lookahead;
mod lost;
mod memory;
mod options;
mod pipelines;
mod readback;
mod recording;
mod several;
mod tasks;
mod transforms;
mod twin;
mod variance_reduction;
