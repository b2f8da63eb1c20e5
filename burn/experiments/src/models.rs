//! The models of the paper's experiments, as the code bases that it names have them.

pub mod beam;
pub mod block;
pub mod dropout;
pub mod lstm;
pub mod padded;
pub mod recurrent;
pub mod resnet;
pub mod smoothing;
pub mod transformer;
