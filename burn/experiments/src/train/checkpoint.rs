//! Checkpoints: one file, replaced whole or not at all.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use lookahead_wgpu::Snapshot;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use crate::replace::replace;
use crate::run::record::{Point, Probe, Run};

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The run.
    pub run: Run,
    /// Steps that are done.
    pub step: u64,
    /// The sum of the losses of this epoch's batches.
    pub loss: f64,
    /// The epochs that are over.
    pub history: Vec<Point>,
    /// A look into the inner loop, once it is done.
    pub probe: Option<Probe>,
    /// Whether the average is to begin, and whether it has begun.
    pub average: Stage,
    /// Seconds so far.
    pub seconds: f64,
}

/// An average that is begun in the course of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not yet, or never.
    Off,
    /// At the next sync.
    Due,
    /// It is evaluated.
    On,
}

/// All that a run needs to go on bit for bit.
#[derive(Debug)]
pub struct Checkpoint {
    pub progress: Progress,
    pub optimizer: Snapshot,
    /// What of the model is not trained.
    pub untrained: Vec<TensorData>,
    /// What the task carries from step to step.
    pub memory: Vec<TensorData>,
}

const PROGRESS: &str = "progress";
const OPTIMIZER: &str = "optimizer";
const UNTRAINED: &str = "untrained";
const MEMORY: &str = "memory";

impl Checkpoint {
    /// Writes it in place of the one before.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let unfit = |problem: String| TrainError::Checkpoint { path: path.to_owned(), problem };
        let optimizer = self.optimizer.to_bytes()?;
        let mut tensors =
            vec![(OPTIMIZER.to_owned(), view(Dtype::U8, vec![optimizer.len()], &optimizer, path)?)];
        for (kind, all) in [(UNTRAINED, &self.untrained), (MEMORY, &self.memory)] {
            for (index, data) in all.iter().enumerate() {
                let shape = data.shape().to_vec();
                tensors.push((format!("{kind}.{index}"), view(Dtype::F32, shape, data.as_bytes(), path)?));
            }
        }
        let progress = serde_json::to_string(&self.progress).map_err(|problem| unfit(problem.to_string()))?;
        let metadata = HashMap::from([(PROGRESS.to_owned(), progress)]);
        let bytes = serialize(tensors, Some(metadata)).map_err(|problem| unfit(problem.to_string()))?;
        replace(path, &bytes).map_err(TrainError::file(path))
    }

    /// Reads it; none where there is none.
    pub fn load(path: &Path, run: &Run) -> Result<Option<Self>, TrainError> {
        let unfit = |problem: String| TrainError::Checkpoint { path: path.to_owned(), problem };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(problem) if problem.kind() == ErrorKind::NotFound => return Ok(None),
            Err(problem) => return Err(TrainError::file(path)(problem)),
        };
        let broken = |problem: &dyn std::fmt::Display| unfit(format!("is none ({problem})"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|problem| broken(&problem))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|problem| broken(&problem))?;
        let progress = metadata.metadata().as_ref().and_then(|all| all.get(PROGRESS));
        let progress = progress.ok_or_else(|| broken(&"nothing tells of a run"))?;
        let progress: Progress = serde_json::from_str(progress).map_err(|problem| broken(&problem))?;
        if progress.run != *run {
            return Err(unfit(format!("is of another run ({})", progress.run.method)));
        }
        let optimizer = file.tensor(OPTIMIZER).map_err(|problem| broken(&problem))?;
        let optimizer = Snapshot::from_bytes(optimizer.data())?;
        let all = |kind: &str| {
            let tensors = (0..).map_while(|index| file.tensor(&format!("{kind}.{index}")).ok());
            tensors.map(|tensor| data(&tensor)).collect()
        };
        Ok(Some(Self { progress, optimizer, untrained: all(UNTRAINED), memory: all(MEMORY) }))
    }
}

fn view<'a>(
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: &'a [u8],
    path: &Path,
) -> Result<TensorView<'a>, TrainError> {
    TensorView::new(dtype, shape, bytes)
        .map_err(|problem| TrainError::Checkpoint { path: path.to_owned(), problem: problem.to_string() })
}

fn data(tensor: &TensorView<'_>) -> TensorData {
    TensorData::from_bytes_vec(tensor.data().to_vec(), tensor.shape().to_vec(), DType::F32)
}
