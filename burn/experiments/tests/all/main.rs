//! The tests, by subject.
#![forbid(unsafe_code)]

mod data;
mod draw;
mod models;
mod oracle;
mod support;
