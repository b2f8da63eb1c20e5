//! What section 5 of "Lookahead Optimizer: k steps forward, 1 step back"
//! ([Zhang, Lucas, Hinton, Ba, 2019](https://arxiv.org/abs/1907.08610)) trains, with [Burn](https://burn.dev):
//! readers of its data sets, and of freely packaged ones that stand in for them, its models, training that goes on bit
//! for bit after a kill, and its figures and tables.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod bleu;
pub mod data;
pub mod draw;
pub mod models;
pub mod presets;
mod replace;
pub mod run;
pub mod runner;
pub mod store;
pub mod studies;
pub mod task;
pub mod tasks;
pub mod train;
