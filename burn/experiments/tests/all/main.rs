//! The tests, by subject.
#![forbid(unsafe_code)]

mod bleu;
mod data;
mod draw;
mod models;
mod oracle;
mod support;
mod tasks;
mod train;
