//! Reptile (Nichol, Achiam, Schulman, 2018) on sine waves: [`Lookahead::tasks`](lookahead_wgpu::Lookahead::tasks).

pub mod arguments;
pub mod fit;
pub mod learner;
pub mod network;
pub mod program;
pub mod report;
pub mod waves;
