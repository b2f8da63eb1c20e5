//! Section 3 of the Lookahead paper, exact and measured on the GPU with the optimizer itself: figures 3 and 4,
//! propositions 1 and 2.

pub mod arguments;
pub mod contraction;
pub mod fig3;
pub mod fig4;
pub mod moments;
pub mod plot;
pub mod program;
pub mod prop1;
pub mod prop2;
pub mod report;
pub mod simulate;
