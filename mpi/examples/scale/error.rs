//! What can go wrong.

use logistic::data::DataError;
use train::{output::OutputError, panel::PlotError};

/// A setting that cannot be, or something that failed.
#[derive(Debug, thiserror::Error)]
pub enum ScaleError {
    #[error("--lr {0} does not converge: give one above 0 and below 2")]
    Rate(f64),
    #[error("--alpha {0} is no slow step size: give one above 0 and at most 1")]
    Alpha(f64),
    #[error(
        "a period of {period} steps has no time for {fragments} exchanges: give --fragments {period} or fewer"
    )]
    Fragments { fragments: u32, period: u32 },
    #[error(
        "with --overlap {overlap} an exchange would not be over when the next begins, {apart} steps later: give \
         --overlap {most} or less"
    )]
    Overlap { overlap: u32, apart: f64, most: u32 },
    #[error("the model has {blocks} blocks of 128 values, and no part of its own for {fragments} fragments")]
    Blocks { blocks: u64, fragments: u32 },
    #[error("MPI has begun already, or cannot begin")]
    Mpi,
    #[error("waiting for the device: {0}")]
    Device(String),
    #[error(transparent)]
    Workers(#[from] lookahead_mpi::Error),
    #[error(transparent)]
    Optimizer(#[from] lookahead_wgpu::Error),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Plot(#[from] PlotError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("the numbers cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}
