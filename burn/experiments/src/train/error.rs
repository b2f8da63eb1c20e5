//! What can go wrong in training.

use std::io;
use std::path::{Path, PathBuf};

use crate::data::DataError;

/// Training cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The optimizer's problem.
    #[error(transparent)]
    Optimizer(#[from] lookahead_wgpu::Error),
    /// Burn's, or the optimizer's on Burn's device.
    #[error(transparent)]
    Burn(#[from] lookahead_burn::Error),
    /// The data's.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Burn has no device.
    #[error("Burn cannot open a wgpu device: {reason}; train with `--device cpu`")]
    Device {
        /// What Burn said.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A checkpoint is not one, or of another run.
    #[error("the checkpoint `{}` {problem}; move it away to begin anew", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A parameter has no gradient, or is no f32.
    #[error("parameter `{path}` {problem}")]
    Parameter {
        /// Its path in the module.
        path: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl TrainError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
