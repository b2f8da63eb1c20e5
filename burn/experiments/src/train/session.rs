//! A run, from its first step or from a checkpoint to its record.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use lookahead_wgpu::{DEFAULT_GROUP, average::NonMonotone};

use super::checkpoint::{Checkpoint, Progress, Stage};
use super::error::TrainError;
use super::parameters::{untrained, with_untrained};
use super::probe::{CYCLES, probe};
use super::report::Event;
use super::stepper::{Place, Stepper};
use crate::run::method::Averaging;
use crate::run::record::{Point, Record, Run, Scores};
use crate::task::{Part, Task};

/// How a run is gone about.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The run.
    pub run: Run,
    /// Where it is saved and gone on from.
    pub checkpoint: Option<PathBuf>,
    /// The longest time that a crash may cost.
    pub every: Duration,
}

/// Trains to the end, from the first step on or from the checkpoint, where there is one.
///
/// # Errors
///
/// [`TrainError`]: the optimizer's, the device's, and those of the checkpoint's file.
pub fn train<T: Task>(
    task: T,
    settings: Settings,
    place: Place,
    observe: &mut dyn FnMut(Event),
) -> Result<Record, TrainError> {
    let (mut session, mut model) = Session::begin(task, settings, place)?;
    let epoch_steps = session.task.epoch_steps();
    let steps = epoch_steps * u64::from(session.settings.run.epochs);
    observe(Event::Begin { step: session.progress.step, steps });
    let mut saved = Instant::now();
    let mut is_finite = session.progress.history.last().is_none_or(|last| last.train_loss.is_finite());
    while session.progress.step < steps && is_finite {
        let loss;
        let rate = session.stepper.optimizer().learning_rate(DEFAULT_GROUP)?;
        (model, loss) = session.step(model)?;
        is_finite = loss.is_finite();
        observe(Event::Step { step: session.progress.step, loss, rate });
        if session.progress.step.is_multiple_of(epoch_steps) || !is_finite {
            let point = session.end_epoch(&model, rate)?;
            observe(Event::Epoch(point));
            if session.settings.run.probe == Some(point.epoch) && is_finite {
                model = session.probe(model)?;
                observe(Event::Probed);
            }
            saved = session.save(&model)?;
        } else if saved.elapsed() > session.settings.every {
            saved = session.save(&model)?;
        }
    }
    session.end(&model, is_finite)
}

/// A run under way. Its model goes in and out of the calls: a clone would make the optimizer copy the weights.
struct Session<T: Task> {
    task: T,
    stepper: Stepper,
    device: Device,
    name: String,
    settings: Settings,
    progress: Progress,
    began: Instant,
    before: f64,
}

impl<T: Task> Session<T> {
    fn begin(mut task: T, settings: Settings, place: Place) -> Result<(Self, T::Model), TrainError> {
        let run = &settings.run;
        let (device, name) = (place.device().autodiff(), place.name());
        device.seed(mixed(run.seed, u64::MAX));
        let mut model = task.model(&device);
        let builder = run.method.builder(run.pace.schedule(task.epoch_steps()));
        let mut stepper = Stepper::new(builder, &model, place)?;
        let found = settings.checkpoint.as_ref().map(|path| Checkpoint::load(path, run)).transpose()?;
        let progress = match found.flatten() {
            Some(Checkpoint { progress, optimizer, untrained, memory }) => {
                model = stepper.import(model, &optimizer)?;
                model = with_untrained(model, untrained).ok_or_else(|| TrainError::Checkpoint {
                    path: settings.checkpoint.clone().unwrap_or_default(),
                    problem: "does not fit the model".to_owned(),
                })?;
                task.recall(memory, &device);
                progress
            }
            None => {
                let average = match run.method.average {
                    Some(Averaging::Ema { .. }) => Stage::On,
                    Some(Averaging::Triggered) | None => Stage::Off,
                };
                let (run, history) = (run.clone(), vec![]);
                Progress { run, step: 0, loss: 0.0, history, probe: None, average, seconds: 0.0 }
            }
        };
        let (began, before) = (Instant::now(), progress.seconds);
        Ok((Self { task, stepper, device, name, settings, progress, began, before }, model))
    }

    /// One step; its loss.
    fn step(&mut self, model: T::Model) -> Result<(T::Model, f64), TrainError> {
        let (model, loss) = self.advance(model, self.progress.step)?;
        self.progress.step += 1;
        self.progress.loss += loss;
        if self.progress.average == Stage::Due && self.stepper.is_synced()? {
            self.stepper.begin_average()?;
            self.progress.average = Stage::On;
        }
        Ok((model, loss))
    }

    /// A step of the model alone.
    fn advance(&mut self, model: T::Model, step: u64) -> Result<(T::Model, f64), TrainError> {
        self.device.seed(mixed(self.settings.run.seed, step));
        let loss = self.task.loss(&model, step)?;
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        Ok((self.stepper.step(model, gradients)?, loss.into_scalar::<f64>()))
    }

    fn end_epoch(&mut self, model: &T::Model, rate: f64) -> Result<Point, TrainError> {
        let valid = match self.progress.loss.is_finite() {
            true => self.task.evaluate(&self.evaluated(model)?, Part::Valid)?,
            false => Scores { loss: f64::NAN, score: None },
        };
        let point = Point {
            epoch: self.progress.history.len() as u32 + 1,
            rate,
            train_loss: self.progress.loss / self.task.epoch_steps() as f64,
            valid,
            is_average: self.progress.average == Stage::On,
            seconds: self.seconds(),
        };
        self.progress.loss = 0.0;
        self.progress.history.push(point);
        let is_triggered = self.settings.run.method.average == Some(Averaging::Triggered);
        if is_triggered && self.progress.average == Stage::Off && self.is_stuck() {
            self.progress.average = Stage::Due;
        }
        Ok(point)
    }

    /// Whether the validation loss of some epoch so far has fired NT-ASGD's trigger.
    fn is_stuck(&self) -> bool {
        let mut trigger = NonMonotone::default();
        self.progress.history.iter().any(|point| trigger.observe(point.valid.loss))
    }

    /// The model to be evaluated.
    fn evaluated(&self, model: &T::Model) -> Result<T::Model, TrainError> {
        let model = match (self.progress.average, self.settings.run.method.lookahead) {
            (Stage::On, _) => self.stepper.average(model)?,
            (_, Some(_)) => self.stepper.slow(model)?,
            _ => model.clone(),
        };
        Ok(model.valid())
    }

    /// Looks into the inner loop, and puts everything back.
    fn probe(&mut self, model: T::Model) -> Result<T::Model, TrainError> {
        let Some(slow) = self.settings.run.method.lookahead else { return Ok(model) };
        let optimizer = self.stepper.optimizer().export_blocking()?;
        let (running, memory) = (untrained(&model), self.task.memory());
        let (mut model, mut step) = (model, self.progress.step);
        let mut advance = |session: &mut Self, model| {
            step += 1;
            Ok::<_, TrainError>(session.advance(model, step - 1)?.0)
        };
        while !self.stepper.is_synced()? {
            model = advance(self, model)?;
        }
        let mut models = vec![model.clone()];
        for _ in 0..CYCLES * slow.k {
            model = advance(self, model)?;
            models.push(model.clone());
        }
        let epoch = self.progress.history.len() as u32;
        self.progress.probe = Some(probe(&self.task, epoch, slow, &models)?);
        let model = self.stepper.import(model, &optimizer)?;
        self.task.recall(memory, &self.device);
        // They are of this very model.
        Ok(with_untrained(model.clone(), running).unwrap_or(model))
    }

    fn save(&mut self, model: &T::Model) -> Result<Instant, TrainError> {
        let Some(path) = &self.settings.checkpoint else { return Ok(Instant::now()) };
        self.progress.seconds = self.seconds();
        let checkpoint = Checkpoint {
            progress: self.progress.clone(),
            optimizer: self.stepper.optimizer().export_blocking()?,
            untrained: untrained(model),
            memory: self.task.memory(),
        };
        checkpoint.save(path)?;
        Ok(Instant::now())
    }

    fn end(self, model: &T::Model, is_finite: bool) -> Result<Record, TrainError> {
        let test = match is_finite {
            true => self.task.evaluate(&self.evaluated(model)?, Part::Test)?,
            false => Scores { loss: f64::NAN, score: None },
        };
        let (epoch_steps, seconds) = (self.task.epoch_steps(), self.seconds());
        let Progress { run, history, probe, .. } = self.progress;
        Ok(Record { run, epoch_steps, history, test, probe, device: self.name, seconds })
    }

    fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }
}

/// A seed for a step: other seeds and other steps have others (SplitMix64).
fn mixed(seed: u64, step: u64) -> u64 {
    let mut z =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(step).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 30)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
