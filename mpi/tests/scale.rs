//! The tests within the files of `examples/scale`: an example that is itself a test is not built as a program any more.
#![allow(dead_code, reason = "the program calls it")]

#[path = "../examples/scale/arguments.rs"]
mod arguments;
#[path = "../examples/scale/error.rs"]
mod error;
#[path = "../examples/scale/findings.rs"]
mod findings;
#[path = "../examples/scale/measure.rs"]
mod measure;
#[path = "../examples/scale/network.rs"]
mod network;
#[path = "../examples/scale/outer.rs"]
mod outer;
#[path = "../examples/scale/plot.rs"]
mod plot;
#[path = "../examples/scale/quadratic.rs"]
mod quadratic;
#[path = "../examples/scale/regression.rs"]
mod regression;
#[path = "../examples/scale/report.rs"]
mod report;
#[path = "../examples/scale/schedule.rs"]
mod schedule;
