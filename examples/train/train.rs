//! Trains a network with an optimizer of this crate. All use of the optimizer is in this file.

use super::batches::{Batches, Images};
use super::data::{CLASSES, Dataset};
use super::device::ModelError;
use super::history::{Epoch, History, Sample, Setting};
use super::meter::{Meter, Reading, Tally};
use super::model::{Backward, Forward, Kernels, Network, random_streams};
use super::settings::{PolicyName, RuleName, Settings};
use lookahead_wgpu::gpu::Gpu;
use lookahead_wgpu::rules::{Adam, AdamW, Sgd};
use lookahead_wgpu::{Lookahead, Optimizer, Rule, Slice, StatePolicy, wgpu};
use rand::seq::SliceRandom;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Steps recorded into one command buffer.
const STEPS_EACH_SUBMIT: u32 = 16;
/// Command buffers that may wait for the GPU: enough to keep it busy, few enough for a true progress
/// bar.
const SUBMITS_AHEAD: usize = 3;
/// Test images of one pass.
const TEST_ROWS: u32 = 256;
const MOMENTUM: f64 = 0.9;

/// Training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The optimizer refused something.
    #[error(transparent)]
    Optimizer(#[from] lookahead_wgpu::Error),
    /// The network did.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Waiting for the GPU failed.
    #[error("the GPU stopped working: {0}")]
    Poll(#[from] wgpu::PollError),
}

/// The inner optimizer as the library has it.
fn rule(name: RuleName, learning_rate: f64) -> Box<dyn Rule> {
    let sgd = Sgd::new(learning_rate);
    match name {
        RuleName::Sgd => Box::new(sgd),
        RuleName::HeavyBall => Box::new(sgd.momentum(MOMENTUM)),
        RuleName::Nesterov => Box::new(sgd.momentum(MOMENTUM).nesterov(true)),
        RuleName::Adam => Box::new(Adam::new(learning_rate)),
        RuleName::Adamw => Box::new(AdamW::new(learning_rate)),
    }
}

fn policy(name: PolicyName) -> StatePolicy {
    match name {
        PolicyName::Maintain => StatePolicy::Maintain,
        PolicyName::Interpolate => StatePolicy::Interpolate,
        PolicyName::Reset => StatePolicy::Reset,
    }
}

/// What a run tells while it goes on.
pub enum Progress<'a> {
    /// So many images were trained on, with this mean loss.
    Images {
        /// How many.
        count: u32,
        /// Their mean loss.
        loss: f64,
    },
    /// An epoch has ended.
    Epoch(&'a Epoch),
}

/// A data set and the shaders on a GPU, for any number of runs.
pub struct Workbench {
    gpu: Gpu,
    kernels: Kernels,
    train: Images,
    test: Images,
    pixels: usize,
}

impl Workbench {
    /// Uploads the data and compiles the shaders.
    pub fn new(gpu: Gpu, dataset: &Dataset) -> Result<Self, TrainError> {
        // wgpu ends the program on an error that nobody takes; a lost device shows in the next reading.
        gpu.device.on_uncaptured_error(Arc::new(|problem| log::error!("{problem}")));
        let upload = |split| Images::upload(&gpu.device, &gpu.queue, split, dataset.scale);
        let train = pollster::block_on(upload(&dataset.train))?;
        let test = pollster::block_on(upload(&dataset.test))?;
        let kernels = pollster::block_on(Kernels::new(&gpu.device))?;
        Ok(Self { gpu, kernels, train, test, pixels: dataset.pixels() })
    }

    /// Trains a new network, and reports to `watch`.
    pub fn train(
        &self,
        settings: &Settings,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<History, TrainError> {
        pollster::block_on(Run::new(self, settings))?.train(watch)
    }
}

/// A run under way.
struct Run<'a> {
    bench: &'a Workbench,
    settings: &'a Settings,
    optimizer: Optimizer,
    batches: Batches,
    meter: Meter,
    forward: Forward,
    backward: Backward,
    test: Test,
    /// Readings on their way, the oldest first.
    pending: VecDeque<Pending>,
    /// The sum of the losses of the epoch's images so far.
    loss_of_epoch: f64,
    /// The last test: of the fast weights, and of the slow ones.
    last_test: Option<(Score, Option<Score>)>,
    history: History,
}

/// The passes over the test images.
struct Test {
    batches: Batches,
    meter: Meter,
    fast: Forward,
    slow: Option<Forward>,
}

/// Mean loss and accuracy over the test images.
#[derive(Debug, Clone, Copy)]
struct Score {
    loss: f64,
    accuracy: f64,
}

/// What a command buffer will bring.
struct Pending {
    submission: wgpu::SubmissionIndex,
    /// Its steps, counted within their epoch.
    steps: Range<u32>,
    train: Reading,
    test: Option<PendingTest>,
}

struct PendingTest {
    step: u32,
    fast: Reading,
    slow: Option<Reading>,
}

impl<'a> Run<'a> {
    async fn new(bench: &'a Workbench, settings: &'a Settings) -> Result<Self, TrainError> {
        let Workbench { gpu: Gpu { device, queue, .. }, kernels, .. } = bench;
        let network = &Network::new(bench.pixels, &settings.hidden, CLASSES)?;
        let mut builder = Optimizer::builder(rule(settings.rule, settings.learning_rate));
        if let Some((k, alpha, name)) = settings.lookahead {
            builder = builder.lookahead(Lookahead::new(k, alpha).policy(policy(name)));
        }
        let parameters = network.parameters();
        for parameter in &parameters {
            builder = builder.tensor(&parameter.name, &parameter.shape);
        }
        let mut optimizer = builder.build(device, queue).await?;
        let [mut random, _] = random_streams(settings.seed);
        for (parameter, values) in parameters.iter().zip(network.initial_values(&mut random)) {
            optimizer.upload(&parameter.name, &values)?;
        }

        let slices = |of: fn(&Optimizer, &str) -> Result<Slice, lookahead_wgpu::Error>| {
            parameters.iter().map(|parameter| of(&optimizer, &parameter.name)).collect::<Result<Vec<_>, _>>()
        };
        let fast = slices(Optimizer::weights)?;
        let gradients = slices(Optimizer::gradients)?;
        let slow = match settings.lookahead {
            Some(_) => Some(slices(Optimizer::slow_weights)?),
            None => None,
        };

        let batches = Batches::new(device, &bench.train, settings.batch).await?;
        let meter = Meter::new(device, batches.count()).await?;
        let weights = bindings(&fast);
        let forward =
            Forward::new(device, queue, kernels, network, &bench.train, &batches, &meter, &weights).await?;
        let backward = Backward::new(device, kernels, &forward, &weights, &bindings(&gradients)).await?;
        let test = Test::new(bench, network, &fast, slow.as_deref()).await?;
        let setting =
            |(k, alpha, policy): (u32, f64, PolicyName)| Setting { k, alpha, policy: policy.to_string() };
        let history = History {
            name: settings.name(),
            rule: settings.rule.to_string(),
            lookahead: settings.lookahead.map(setting),
            losses: Vec::new(),
            samples: Vec::new(),
            epochs: Vec::new(),
        };
        Ok(Self {
            bench,
            settings,
            optimizer,
            batches,
            meter,
            forward,
            backward,
            test,
            pending: VecDeque::new(),
            loss_of_epoch: 0.0,
            last_test: None,
            history,
        })
    }

    fn train(mut self, watch: &mut dyn FnMut(Progress<'_>)) -> Result<History, TrainError> {
        let began = Instant::now();
        let [_, mut random] = random_streams(self.settings.seed);
        let mut order: Vec<u32> = (0..self.batches.images()).collect();
        for epoch in 1..=self.settings.epochs {
            order.shuffle(&mut random);
            self.batches.fill(&self.bench.gpu.queue, &order);
            self.loss_of_epoch = 0.0;
            let mut first = 0;
            while first < self.batches.count() {
                let next_test = self.next_test(first);
                let end = next_test.min(first + STEPS_EACH_SUBMIT);
                self.submit(epoch, first..end, end == next_test)?;
                first = end;
                while self.pending.len() > SUBMITS_AHEAD {
                    self.take_oldest(watch)?;
                }
            }
            while !self.pending.is_empty() {
                self.take_oldest(watch)?;
            }
            // An epoch ends with a test.
            let Some((fast, slow)) = self.last_test else { continue };
            self.history.epochs.push(Epoch {
                epoch,
                train_loss: self.loss_of_epoch / f64::from(self.batches.images()),
                test_loss: slow.unwrap_or(fast).loss,
                fast_accuracy: fast.accuracy,
                slow_accuracy: slow.map(|score| score.accuracy),
                seconds: began.elapsed().as_secs_f64(),
            });
            if let Some(epoch) = self.history.epochs.last() {
                watch(Progress::Epoch(epoch));
            }
        }
        Ok(self.history)
    }

    /// The end of the step, counted within an epoch, after which the next test comes.
    fn next_test(&self, first: u32) -> u32 {
        let (steps, tests) = (u64::from(self.batches.count()), u64::from(self.settings.tests_each_epoch));
        let done = u64::from(first) * tests / steps;
        ((done + 1) * steps).div_ceil(tests) as u32
    }

    /// Submits some steps of an epoch and, where it is time, a test; their results will be pending.
    fn submit(&mut self, epoch: u32, steps: Range<u32>, is_test: bool) -> Result<(), TrainError> {
        let Workbench { gpu: Gpu { device, queue, .. }, kernels, .. } = self.bench;
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        if steps.start == 0 {
            self.meter.clear(&mut encoder);
        }
        for batch in steps.clone() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.forward.record(kernels, &mut pass, batch);
            self.backward.record(kernels, &mut pass);
            drop(pass);
            self.optimizer.step(&mut encoder)?;
        }
        let train = pollster::block_on(self.meter.read(device, &mut encoder, steps.clone()))?;
        let step = (epoch - 1) * self.batches.count() + steps.end;
        let test = match is_test {
            true => Some(self.test.record(self.bench, &mut encoder, step)?),
            false => None,
        };
        let submission = queue.submit([encoder.finish()]);
        self.pending.push_back(Pending { submission, steps, train, test });
        Ok(())
    }

    /// Waits for the oldest pending results and takes them in.
    fn take_oldest(&mut self, watch: &mut dyn FnMut(Progress<'_>)) -> Result<(), TrainError> {
        let Some(Pending { submission, steps, train, test }) = self.pending.pop_front() else {
            return Ok(());
        };
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        self.bench.gpu.device.poll(wait)?;
        let tallies = pollster::block_on(train.finish())?;
        let mut images = 0;
        let mut loss = 0.0;
        for (batch, tally) in steps.zip(&tallies) {
            let count = self.batches.images_of(batch);
            self.history.losses.push(f64::from(tally.loss) / f64::from(count));
            images += count;
            loss += f64::from(tally.loss);
        }
        self.loss_of_epoch += loss;
        watch(Progress::Images { count: images, loss: loss / f64::from(images) });
        if let Some(test) = test {
            let score = |reading: Reading| -> Result<Score, TrainError> {
                Ok(Score::new(&pollster::block_on(reading.finish())?, self.test.batches.images()))
            };
            let (fast, slow) = (score(test.fast)?, test.slow.map(score).transpose()?);
            let accuracy = |score: Score| score.accuracy;
            let sample = Sample { step: test.step, fast: fast.accuracy, slow: slow.map(accuracy) };
            self.history.samples.push(sample);
            self.last_test = Some((fast, slow));
        }
        Ok(())
    }
}

impl Test {
    async fn new(
        bench: &Workbench,
        network: &Network,
        fast: &[Slice],
        slow: Option<&[Slice]>,
    ) -> Result<Self, TrainError> {
        let Workbench { gpu: Gpu { device, queue, .. }, kernels, test: images, .. } = bench;
        let batches = Batches::new(device, images, TEST_ROWS).await?;
        batches.fill(queue, &(0..batches.images()).collect::<Vec<_>>());
        let meter = Meter::new(device, batches.count()).await?;
        let forward = async |weights: &[Slice]| {
            Forward::new(device, queue, kernels, network, images, &batches, &meter, &bindings(weights)).await
        };
        let fast = forward(fast).await?;
        let slow = match slow {
            Some(slow) => Some(forward(slow).await?),
            None => None,
        };
        Ok(Self { batches, meter, fast, slow })
    }

    /// Records a test of all weights after so many steps.
    fn record(
        &self,
        bench: &Workbench,
        encoder: &mut wgpu::CommandEncoder,
        step: u32,
    ) -> Result<PendingTest, TrainError> {
        let mut score = |forward: &Forward| {
            self.meter.clear(encoder);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for batch in 0..self.batches.count() {
                forward.record(&bench.kernels, &mut pass, batch);
            }
            drop(pass);
            pollster::block_on(self.meter.read(&bench.gpu.device, encoder, 0..self.batches.count()))
        };
        let fast = score(&self.fast)?;
        let slow = self.slow.as_ref().map(score).transpose()?;
        Ok(PendingTest { step, fast, slow })
    }
}

impl Score {
    fn new(tallies: &[Tally], images: u32) -> Self {
        let loss: f64 = tallies.iter().map(|tally| f64::from(tally.loss)).sum();
        let correct: u32 = tallies.iter().map(|tally| tally.correct).sum();
        Self { loss: loss / f64::from(images), accuracy: f64::from(correct) / f64::from(images) }
    }
}

fn bindings(slices: &[Slice]) -> Vec<wgpu::BindingResource<'_>> {
    slices.iter().map(Slice::binding).collect()
}
