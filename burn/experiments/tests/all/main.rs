//! The tests, by subject.
#![forbid(unsafe_code)]

mod data;
mod models;
mod oracle;
mod support;
mod train;
