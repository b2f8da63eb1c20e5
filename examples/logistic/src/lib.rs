//! Variance reduction on the GPU: SGD, Lookahead, SVRG and Katyusha on a logistic regression whose minimum is
//! known.

pub mod arguments;
pub mod data;
pub mod gradients;
pub mod method;
pub mod minimum;
pub mod program;
pub mod report;
pub mod run;
