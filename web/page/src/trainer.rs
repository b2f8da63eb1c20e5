//! What the worker's JavaScript calls. One call at a time: each waits for the one before it.

use crate::choices::Choices;
use crate::files::{self, File};
use crate::gpu;
use crate::predict::predict;
use js_sys::{Array, Date, Function, Uint8Array};
use lookahead_wgpu::Snapshot;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use train::data::Dataset;
use train::history::{Alphas, Epoch, History, Sample};
use train::run::{Run, Workbench};
use train::settings::Settings;
use wasm_bindgen::prelude::*;

/// Command buffers of a run that may wait for the GPU while the next is recorded.
const SUBMITS_AHEAD: usize = 1;

/// The data, the device and the runs.
#[wasm_bindgen]
pub struct Trainer {
    dataset: Dataset,
    bench: Workbench,
    on_lost: Function,
    runs: BTreeMap<u32, Training>,
}

/// A run, and how much of its history was told.
struct Training {
    run: Run,
    kept: Kept,
    told: Told,
    seconds: f64,
}

/// Where a run goes on from when the device is lost.
struct Kept {
    snapshot: Option<Snapshot>,
    history: History,
}

#[derive(Default)]
struct Told {
    losses: usize,
    samples: usize,
    alphas: usize,
    epochs: usize,
}

/// What is new of a run.
#[derive(Serialize)]
struct News<'a> {
    id: u32,
    name: &'a str,
    /// Batches before `losses`.
    first: usize,
    /// Batches of an epoch.
    batches: u32,
    /// Batches of the whole run.
    total: u64,
    /// Images that were trained on since the last news.
    images: u64,
    is_done: bool,
    losses: &'a [f64],
    samples: &'a [Sample],
    alphas: &'a [Alphas],
    epochs: &'a [Epoch],
}

#[derive(Serialize)]
struct Size<'a> {
    name: &'a str,
    width: usize,
    height: usize,
    /// What the brightest pixel's byte is.
    brightest: f32,
    train: usize,
    test: usize,
}

#[wasm_bindgen]
impl Trainer {
    /// Opens a device, with the digits to train on. Where a device gets lost, `on_lost` is called with the browser's
    /// reason.
    pub async fn open(on_lost: Function) -> Result<Trainer, JsError> {
        let dataset = Dataset::digits().map_err(shown)?;
        let bench = open(&dataset, &on_lost).await?;
        Ok(Self { dataset, bench, on_lost, runs: BTreeMap::new() })
    }

    /// What can be chosen, as JSON.
    pub fn choices() -> Result<String, JsError> {
        json(&Choices::all())
    }

    /// The data set, as JSON.
    pub fn dataset(&self) -> Result<String, JsError> {
        let Dataset { name, width, height, scale, train, test } = &self.dataset;
        json(&Size {
            name,
            width: *width,
            height: *height,
            brightest: scale.recip(),
            train: train.len(),
            test: test.len(),
        })
    }

    /// The pixels of the first images to train on, at most so many: a byte each, image after image.
    pub fn pixels(&self, most: usize) -> Vec<u8> {
        let Dataset { train, .. } = &self.dataset;
        train.pixels[..most.min(train.len()) * self.dataset.pixels()].to_vec()
    }

    /// Their labels.
    pub fn labels(&self, most: usize) -> Vec<u8> {
        let labels = &self.dataset.train.labels;
        labels[..most.min(labels.len())].to_vec()
    }

    /// Trains on the digits from now on; all runs end.
    pub async fn use_digits(&mut self) -> Result<(), JsError> {
        self.replace(Dataset::digits().map_err(shown)?).await
    }

    /// Trains on IDX files from now on, given as their names and as many `Uint8Array`s; all runs end.
    pub async fn use_files(&mut self, names: Vec<String>, contents: Array) -> Result<(), JsError> {
        let contents = contents.iter().map(|bytes| Uint8Array::new(&bytes).to_vec());
        let files: Vec<_> =
            names.into_iter().zip(contents).map(|(name, bytes)| File { name, bytes }).collect();
        self.replace(files::read(&files).map_err(shown)?).await
    }

    async fn replace(&mut self, dataset: Dataset) -> Result<(), JsError> {
        self.bench = self.bench.with_data(&dataset).await.map_err(shown)?;
        self.dataset = dataset;
        self.runs.clear();
        Ok(())
    }

    /// Begins a run with these settings, as JSON; one that is there goes on with them.
    pub async fn begin(&mut self, id: u32, settings: &str) -> Result<(), JsError> {
        let settings: Settings = serde_json::from_str(settings).map_err(shown)?;
        self.keep(id).await?;
        let mut run = Run::new(&self.bench, &settings).await.map_err(shown)?;
        let training = match self.runs.remove(&id) {
            None => Training::new(run),
            Some(old) => {
                if let Some(snapshot) = &old.kept.snapshot {
                    run.resume(snapshot, &old.kept.history).map_err(shown)?;
                }
                Training { run, ..old }
            }
        };
        self.runs.insert(id, training);
        Ok(())
    }

    /// Ends a run.
    pub fn end(&mut self, id: u32) {
        self.runs.remove(&id);
    }

    /// Trains a run on its next batches, at most so many; gives what is new of it, as JSON.
    pub async fn advance(&mut self, id: u32, most: u32) -> Result<String, JsError> {
        let training = self.training(id)?;
        let began = Date::now();
        let earlier = training.seconds;
        let clock = || earlier + (Date::now() - began) / 1000.0;
        if !training.run.is_done() {
            training.run.submit(most.max(1)).await.map_err(shown)?;
        }
        let ahead = if training.run.is_done() { 0 } else { SUBMITS_AHEAD };
        let images = training.take(ahead, &clock).await?;
        training.seconds = clock();
        training.news(id, images)
    }

    /// Waits for what a run has submitted, and keeps its state for when the device is lost; gives what is new of it,
    /// as JSON.
    pub async fn settle(&mut self, id: u32) -> Result<String, JsError> {
        let images = self.keep(id).await?;
        self.training(id)?.news(id, images)
    }

    /// All there is of a run's history, as JSON.
    pub fn history(&mut self, id: u32) -> Result<String, JsError> {
        let training = self.training(id)?;
        training.told = Told::default();
        training.news(id, 0)
    }

    /// The probability of each class for an image, at a run's slow weights or at those of the rule alone.
    pub async fn predict(&mut self, id: u32, pixels: &[u8]) -> Result<Vec<f32>, JsError> {
        if pixels.len() != self.dataset.pixels() {
            let expected = self.dataset.pixels();
            return Err(shown(format!("an image of {} pixels, not {expected}", pixels.len())));
        }
        let (bench, scale) = (self.bench.clone(), self.dataset.scale);
        let run = &self.training(id)?.run;
        predict(&bench, run, pixels, scale).await.map_err(shown)
    }

    /// A run's checkpoint: a safetensors file.
    pub async fn checkpoint(&mut self, id: u32) -> Result<Vec<u8>, JsError> {
        self.keep(id).await?;
        let snapshot = self.training(id)?.kept.snapshot.as_ref();
        snapshot.ok_or_else(|| shown("there is nothing to keep yet"))?.to_bytes().map_err(shown)
    }

    /// Sets a run to a checkpoint, of an optimizer that was built alike. Its history begins there.
    pub async fn restore(&mut self, id: u32, bytes: &[u8]) -> Result<(), JsError> {
        let snapshot = Snapshot::from_bytes(bytes).map_err(shown)?;
        let settings = self.training(id)?.run.settings().clone();
        let mut run = Run::new(&self.bench, &settings).await.map_err(shown)?;
        let history = run.history().clone();
        run.resume(&snapshot, &history).map_err(shown)?;
        let mut training = Training::new(run);
        training.kept.snapshot = Some(snapshot);
        self.runs.insert(id, training);
        Ok(())
    }

    /// Gives the device up, as if it had been lost.
    pub fn lose(&self) {
        self.bench.device.destroy();
    }

    /// Opens a new device; every run goes on from where it was kept last.
    pub async fn recover(&mut self) -> Result<(), JsError> {
        self.bench = open(&self.dataset, &self.on_lost).await?;
        for training in self.runs.values_mut() {
            let mut run = Run::new(&self.bench, training.run.settings()).await.map_err(shown)?;
            if let Some(snapshot) = &training.kept.snapshot {
                run.resume(snapshot, &training.kept.history).map_err(shown)?;
            }
            training.run = run;
        }
        Ok(())
    }

    fn training(&mut self, id: u32) -> Result<&mut Training, JsError> {
        self.runs.get_mut(&id).ok_or_else(|| shown("this run has not begun"))
    }

    /// Keeps a run's state, where there is one; gives the images that it took in.
    async fn keep(&mut self, id: u32) -> Result<u64, JsError> {
        let Some(training) = self.runs.get_mut(&id) else { return Ok(0) };
        let seconds = training.seconds;
        let images = training.take(0, &|| seconds).await?;
        if training.run.done() > 0 {
            let snapshot = training.run.optimizer().export().await.map_err(shown)?;
            training.kept = Kept { snapshot: Some(snapshot), history: training.run.history().clone() };
        }
        Ok(images)
    }
}

impl Training {
    fn new(run: Run) -> Self {
        let kept = Kept { snapshot: None, history: run.history().clone() };
        Self { run, kept, told: Told::default(), seconds: 0.0 }
    }

    /// Takes results in until at most so many command buffers are ahead; gives the images of these.
    async fn take(&mut self, ahead: usize, clock: &dyn Fn() -> f64) -> Result<u64, JsError> {
        let mut images = 0;
        while self.run.pending() > ahead {
            let taken = self.run.take_oldest(clock).await.map_err(shown)?;
            images += taken.map_or(0, |taken| taken.images);
        }
        Ok(images)
    }

    fn news(&mut self, id: u32, images: u64) -> Result<String, JsError> {
        let History { name, losses, samples, alphas, epochs, .. } = self.run.history();
        let batches = self.run.batches().count();
        let text = json(&News {
            id,
            name,
            first: self.told.losses,
            batches,
            total: self.run.total(),
            images,
            is_done: self.run.is_done() && self.run.pending() == 0,
            losses: &losses[self.told.losses..],
            samples: &samples[self.told.samples..],
            alphas: &alphas[self.told.alphas..],
            epochs: &epochs[self.told.epochs..],
        })?;
        self.told =
            Told { losses: losses.len(), samples: samples.len(), alphas: alphas.len(), epochs: epochs.len() };
        Ok(text)
    }
}

async fn open(dataset: &Dataset, on_lost: &Function) -> Result<Workbench, JsError> {
    let gpu = gpu::open(on_lost.clone()).await.map_err(shown)?;
    Workbench::new(&gpu, dataset).await.map_err(shown)
}

fn json(value: &impl Serialize) -> Result<String, JsError> {
    serde_json::to_string(value).map_err(shown)
}

fn shown(problem: impl Display) -> JsError {
    JsError::new(&problem.to_string())
}
