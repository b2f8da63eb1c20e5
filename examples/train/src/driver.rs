//! Drives training runs natively: waits for the GPU, keeps checkpoints and tells how it goes.

use crate::checkpoint::CheckpointError;
use crate::data::Dataset;
use crate::history::{Epoch, Guarded, History};
use crate::profile::Stopwatch;
use crate::run::{Run, RunError};
use crate::settings::Settings;
use lookahead_wgpu::gpu::Gpu;
use lookahead_wgpu::{Snapshot, wgpu};
use std::sync::Arc;
use std::time::Instant;

/// Steps recorded into one command buffer.
const STEPS_EACH_SUBMIT: u32 = 16;
/// Command buffers that may wait for the GPU: enough to keep it busy, few enough for a true progress
/// bar.
const SUBMITS_AHEAD: usize = 3;

/// Training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The run failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Waiting for the GPU failed.
    #[error("the GPU stopped working: {0}")]
    Poll(#[from] wgpu::PollError),
    /// A checkpoint cannot be kept.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl From<lookahead_wgpu::Error> for TrainError {
    fn from(problem: lookahead_wgpu::Error) -> Self {
        Self::Run(problem.into())
    }
}

/// What a run tells while it goes on.
pub enum Progress<'a> {
    /// So many images were trained on, with this mean loss.
    Images {
        /// How many.
        count: u64,
        /// Their mean loss.
        loss: f64,
    },
    /// An epoch has ended.
    Epoch(&'a Epoch),
}

/// A data set and the shaders on a GPU, for any number of runs.
pub struct Workbench {
    gpu: Gpu,
    bench: super::run::Workbench,
    is_profiled: bool,
}

impl Workbench {
    /// Uploads the data and compiles the shaders.
    pub fn new(gpu: Gpu, dataset: &Dataset) -> Result<Self, TrainError> {
        // wgpu ends the program on an error that nobody takes; a lost device shows in the next reading.
        gpu.device.on_uncaptured_error(Arc::new(|problem| log::error!("{problem}")));
        let bench = super::run::Workbench::new(&gpu, dataset);
        let bench = pollster::block_on(bench).map_err(RunError::from)?;
        Ok(Self { gpu, bench, is_profiled: false })
    }

    /// Its runs are timed part by part, and wait for the device every few batches.
    pub fn profiled(self) -> Self {
        Self { is_profiled: true, ..self }
    }

    /// Trains a new network, and reports to `watch`. A run that diverges ends there, and its history says so.
    pub fn train(
        &self,
        settings: &Settings,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<History, TrainError> {
        self.run(pollster::block_on(Run::new(&self.bench, settings))?, watch, None)
    }

    /// [`Self::train`], with checkpoints: none of a run that has diverged.
    pub fn train_with(
        &self,
        settings: &Settings,
        checkpoints: Checkpoints<'_>,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<History, TrainError> {
        let mut run = pollster::block_on(Run::new(&self.bench, settings))?;
        if let Some((snapshot, history)) = &checkpoints.start {
            run.resume(snapshot, history)?;
            let batches = run.batches();
            for (index, loss) in (0..batches.count()).cycle().zip(&run.history().losses) {
                watch(Progress::Images { count: batches.images_of(index).into(), loss: *loss });
            }
            run.history().epochs.iter().for_each(|epoch| watch(Progress::Epoch(epoch)));
        }
        self.run(run, watch, Some(checkpoints))
    }

    fn run(
        &self,
        mut run: Run,
        watch: &mut dyn FnMut(Progress<'_>),
        mut checkpoints: Option<Checkpoints<'_>>,
    ) -> Result<History, TrainError> {
        let began = Instant::now();
        let earlier = run.history().epochs.last().map_or(0.0, |epoch| epoch.seconds);
        let clock = || earlier + began.elapsed().as_secs_f64();
        let every = checkpoints.as_ref().map_or(u64::MAX, |checkpoints| checkpoints.every.max(1));
        let start = run.done();
        let stopwatch = Stopwatch::new(&self.gpu.device, &self.gpu.queue);
        let mut stopwatch = match self.is_profiled {
            true => Some(pollster::block_on(stopwatch).map_err(RunError::from)?),
            false => None,
        };
        while !run.is_done() && run.history().divergence.is_none() {
            let most = every - run.done() % every;
            let most = u32::try_from(most).map_or(STEPS_EACH_SUBMIT, |most| most.min(STEPS_EACH_SUBMIT));
            match &mut stopwatch {
                Some(stopwatch) => pollster::block_on(run.submit_timed(most, stopwatch))?,
                None => pollster::block_on(run.submit(most))?,
            }
            let is_due = run.done().is_multiple_of(every) && !run.is_done();
            let ahead = if is_due || run.is_done() { 0 } else { SUBMITS_AHEAD };
            while run.pending() > ahead && run.history().divergence.is_none() {
                self.take_oldest(&mut run, &clock, watch)?;
            }
            if is_due {
                self.snapshot(&mut run, checkpoints.as_mut())?;
            }
        }
        let is_new = run.done() > start;
        let snapshot = self.snapshot(&mut run, checkpoints.as_mut().filter(|_| is_new))?;
        let profile = stopwatch.and_then(|stopwatch| stopwatch.profile());
        let mut history = History { steps: snapshot.steps, profile, ..run.history().clone() };
        if run.optimizer().loss_scale().is_some() {
            let Snapshot { skipped, loss_scale, .. } = snapshot;
            history.guard = Some(Guarded { skipped, loss_scale });
        }
        Ok(history)
    }

    /// A snapshot of a run whose results are all in, which is kept unless the run has diverged.
    fn snapshot(
        &self,
        run: &mut Run,
        checkpoints: Option<&mut Checkpoints<'_>>,
    ) -> Result<Snapshot, TrainError> {
        let snapshot = run.optimizer().export_blocking()?;
        let (submission, probe) = pollster::block_on(run.probe())?;
        self.gpu.device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None })?;
        pollster::block_on(run.check(&snapshot, probe))?;
        if let Some(checkpoints) = checkpoints.filter(|_| run.history().divergence.is_none()) {
            (checkpoints.keep)(&snapshot, run.history())?;
        }
        Ok(snapshot)
    }

    /// Waits for the oldest pending results and takes them in.
    fn take_oldest(
        &self,
        run: &mut Run,
        clock: &dyn Fn() -> f64,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), TrainError> {
        let wait = wgpu::PollType::Wait { submission_index: run.oldest(), timeout: None };
        self.gpu.device.poll(wait)?;
        if let Some(taken) = pollster::block_on(run.take_oldest(clock))? {
            watch(Progress::Images { count: taken.images, loss: taken.loss });
            if taken.is_end_of_epoch {
                run.history().epochs.last().into_iter().for_each(|epoch| watch(Progress::Epoch(epoch)));
            }
        }
        Ok(())
    }
}

/// Where a run begins, and what becomes of its snapshots.
pub struct Checkpoints<'a> {
    /// Where it goes on from.
    pub start: Option<(Snapshot, History)>,
    /// Batches from one to the next, counted from the first one ever.
    pub every: u64,
    /// Takes one.
    pub keep: &'a mut dyn FnMut(&Snapshot, &History) -> Result<(), CheckpointError>,
}
