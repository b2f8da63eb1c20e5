//! Trains a network with an optimizer of this crate.

use super::batches::{Batches, Images};
use super::checkpoint::CheckpointError;
use super::data::{CLASSES, Dataset};
use super::device::ModelError;
use super::history::{Alphas, Epoch, Guarded, History, Sample, Setting};
use super::kernels::Kernels;
use super::meter::{Meter, Tallies, Tally};
use super::model::{Backward, Forward, Network, random_streams};
use super::options::{BIASES, HalfName};
use super::reading::Reading;
use super::settings::{PolicyName, Settings};
use lookahead_wgpu::gpu::Gpu;
use lookahead_wgpu::{DEFAULT_GROUP, Lookahead, Optimizer, Slice, Snapshot, StatePolicy, wgpu};
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
    /// A checkpoint cannot be kept.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
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
        let kernels = pollster::block_on(Kernels::new(&gpu.device, None))?;
        Ok(Self { gpu, kernels, train, test, pixels: dataset.pixels() })
    }

    /// Trains a new network, and reports to `watch`.
    pub fn train(
        &self,
        settings: &Settings,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<History, TrainError> {
        pollster::block_on(Run::new(self, settings))?.train(watch, None)
    }

    /// [`Self::train`], with checkpoints.
    pub fn train_with(
        &self,
        settings: &Settings,
        checkpoints: Checkpoints<'_>,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<History, TrainError> {
        let mut run = pollster::block_on(Run::new(self, settings))?;
        if let Some((snapshot, history)) = &checkpoints.start {
            run.resume(snapshot, history, watch)?;
        }
        run.train(watch, Some(checkpoints))
    }
}

/// Where a run begins, and what becomes of its snapshots.
pub struct Checkpoints<'a> {
    /// Where it goes on from.
    pub start: Option<(Snapshot, History)>,
    /// Batches from one to the next, counted from the first one ever.
    pub every: u32,
    /// Takes one.
    pub keep: &'a mut dyn FnMut(&Snapshot, &History) -> Result<(), CheckpointError>,
}

/// A run under way.
struct Run<'a> {
    bench: &'a Workbench,
    settings: &'a Settings,
    optimizer: Optimizer,
    batches: Batches,
    meter: Meter,
    /// The shaders of the passes, where they are half-width.
    half_kernels: Option<Kernels>,
    forward: Forward,
    backward: Backward,
    test: Test,
    /// Batches that were submitted.
    done: u32,
    /// Readings on their way, the oldest first.
    pending: VecDeque<Pending>,
    last_test: Option<Tested<Score>>,
    history: History,
}

/// What came of a test of all weights there are.
struct Tested<T> {
    fast: T,
    slow: Option<T>,
    average: Option<T>,
}

/// The passes over the test images.
struct Test {
    batches: Batches,
    meter: Meter,
    fast: Forward,
    slow: Option<Forward>,
    has_average: bool,
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
    /// Its batches, counted within their epoch.
    batches: Range<u32>,
    /// Batches of all epochs up to its end.
    step: u32,
    train: Tallies,
    alphas: Option<Reading>,
    test: Option<Tested<Tallies>>,
}

impl<'a> Run<'a> {
    async fn new(bench: &'a Workbench, settings: &'a Settings) -> Result<Self, TrainError> {
        let Workbench { gpu: Gpu { device, queue, .. }, .. } = bench;
        let network = &Network::new(bench.pixels, &settings.hidden, CLASSES)?;
        let options = &settings.options;
        let mut builder = options.apply(Optimizer::builder(settings.rule.rule(settings.learning_rate)));
        if let Some((k, alpha, name)) = settings.lookahead {
            builder = builder.lookahead(Lookahead::new(k, alpha).policy(policy(name)));
        }
        let parameters = network.parameters();
        for parameter in &parameters {
            let is_bias = parameter.shape.len() == 1;
            let group = if is_bias && options.has_groups() { BIASES } else { DEFAULT_GROUP };
            builder = builder.tensor_in(group, &parameter.name, &parameter.shape);
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
        let half = options.half.map(HalfName::format);
        let half_kernels = match half {
            Some(_) => Some(Kernels::new(device, half).await?),
            None => None,
        };
        let kernels = half_kernels.as_ref().unwrap_or(&bench.kernels);
        let read = match half {
            Some(_) => slices(Optimizer::half_weights)?,
            None => fast.clone(),
        };

        let batches = Batches::new(device, &bench.train, settings.batch).await?;
        let meter = Meter::new(device, batches.count()).await?;
        let (weights, images) = (bindings(&read), &bench.train);
        let loss_scale = optimizer.loss_scale();
        let loss_scale = loss_scale.as_ref().map(Slice::binding);
        let forward =
            Forward::new(device, queue, kernels, network, images, &batches, &meter, &weights, loss_scale)
                .await?;
        let gradients = bindings(&gradients);
        let backward = Backward::new(device, queue, kernels, &forward, &weights, &gradients).await?;
        let test = Test::new(bench, network, &fast, slow.as_deref(), options.average.is_some()).await?;
        let setting =
            |(k, alpha, policy): (u32, f64, PolicyName)| Setting { k, alpha, policy: policy.to_string() };
        let history = History {
            name: settings.name(),
            rule: settings.rule.to_string(),
            lookahead: settings.lookahead.map(setting),
            losses: Vec::new(),
            samples: Vec::new(),
            alphas: Vec::new(),
            epochs: Vec::new(),
            memory: optimizer.memory(),
            guard: None,
        };
        Ok(Self {
            bench,
            settings,
            optimizer,
            batches,
            meter,
            half_kernels,
            forward,
            backward,
            test,
            done: 0,
            pending: VecDeque::new(),
            last_test: None,
            history,
        })
    }

    /// Goes on from a snapshot and the history up to it or longer.
    fn resume(
        &mut self,
        snapshot: &Snapshot,
        history: &History,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), TrainError> {
        self.optimizer.import(snapshot)?;
        let steps = snapshot.steps + snapshot.skipped;
        let micro_batches = u64::from(self.settings.options.micro_batches());
        let done = steps.saturating_mul(micro_batches).saturating_add(u64::from(snapshot.gathered));
        self.done = u32::try_from(done).unwrap_or(u32::MAX);
        let History { memory, guard, .. } = self.history;
        self.history = History { memory, guard, ..history.clone() };
        self.history.truncate(self.done, self.batches.count());
        for (index, loss) in (0..self.batches.count()).cycle().zip(&self.history.losses) {
            watch(Progress::Images { count: self.batches.images_of(index), loss: *loss });
        }
        self.history.epochs.iter().for_each(|epoch| watch(Progress::Epoch(epoch)));
        Ok(())
    }

    fn train(
        mut self,
        watch: &mut dyn FnMut(Progress<'_>),
        mut checkpoints: Option<Checkpoints<'_>>,
    ) -> Result<History, TrainError> {
        let began = Instant::now();
        let earlier = self.history.epochs.last().map_or(0.0, |epoch| epoch.seconds);
        let every = checkpoints.as_ref().map_or(u32::MAX, |checkpoints| checkpoints.every.max(1));
        let count = self.batches.count();
        let [_, mut random] = random_streams(self.settings.seed);
        let mut order: Vec<u32> = (0..self.batches.images()).collect();
        for epoch in 1..=self.settings.epochs {
            order.shuffle(&mut random);
            let end_of_epoch = epoch * count;
            if self.done >= end_of_epoch {
                continue;
            }
            self.batches.fill(&self.bench.gpu.queue, &order);
            self.meter.skip_to(&self.bench.gpu.queue, self.done % count);
            while self.done < end_of_epoch {
                let first = self.done % count;
                let next_test = self.next_test(first);
                let next_checkpoint = first.saturating_add(every - self.done % every);
                let end = next_test.min(first + STEPS_EACH_SUBMIT).min(next_checkpoint);
                self.submit(first..end, end == next_test)?;
                while self.pending.len() > SUBMITS_AHEAD {
                    self.take_oldest(watch)?;
                }
                if self.done == end_of_epoch {
                    self.take_all(watch)?;
                    self.end_epoch(epoch, earlier + began.elapsed().as_secs_f64());
                    self.history.epochs.last().into_iter().for_each(|epoch| watch(Progress::Epoch(epoch)));
                }
                let is_last = epoch == self.settings.epochs && self.done == end_of_epoch;
                if let Some(checkpoints) = &mut checkpoints
                    && (self.done.is_multiple_of(every) || is_last)
                {
                    self.take_all(watch)?;
                    (checkpoints.keep)(&self.optimizer.export_blocking()?, &self.history)?;
                }
            }
        }
        if self.optimizer.loss_scale().is_some() {
            let counters = self.optimizer.counters_blocking()?;
            self.history.guard = Some(Guarded { skipped: counters.skipped, loss_scale: counters.loss_scale });
        }
        Ok(self.history)
    }

    /// Sums up the epoch; it ended with a test.
    fn end_epoch(&mut self, epoch: u32, seconds: f64) {
        let Some(Tested { fast, slow, average }) = &self.last_test else { return };
        let first = self.history.losses.len() - self.batches.count() as usize;
        let losses = (0..).zip(&self.history.losses[first..]);
        let sum: f64 = losses.map(|(batch, loss)| loss * f64::from(self.batches.images_of(batch))).sum();
        self.history.epochs.push(Epoch {
            epoch,
            train_loss: sum / f64::from(self.batches.images()),
            test_loss: slow.as_ref().unwrap_or(fast).loss,
            fast_accuracy: fast.accuracy,
            slow_accuracy: slow.as_ref().map(|score| score.accuracy),
            average_accuracy: average.as_ref().map(|score| score.accuracy),
            seconds,
        });
    }

    /// The end of the step, counted within an epoch, after which the next test comes.
    fn next_test(&self, first: u32) -> u32 {
        let (steps, tests) = (u64::from(self.batches.count()), u64::from(self.settings.tests_each_epoch));
        let done = u64::from(first) * tests / steps;
        ((done + 1) * steps).div_ceil(tests) as u32
    }

    /// Submits some batches of an epoch and, where it is time, a test; their results will be pending.
    fn submit(&mut self, batches: Range<u32>, is_test: bool) -> Result<(), TrainError> {
        let Workbench { gpu: Gpu { device, queue, .. }, kernels, .. } = self.bench;
        let kernels = self.half_kernels.as_ref().unwrap_or(kernels);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for batch in batches.clone() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.forward.record(kernels, &mut pass, batch);
            self.backward.record(kernels, &mut pass);
            drop(pass);
            self.optimizer.step(&mut encoder)?;
        }
        let train = pollster::block_on(self.meter.read(device, &mut encoder, batches.clone()))?;
        let alphas = match self.optimizer.alphas() {
            Some(buffer) => {
                Some(pollster::block_on(Reading::new(device, &mut encoder, buffer, 0, buffer.size()))?)
            }
            None => None,
        };
        let test = match is_test {
            true => Some(self.test.record(self.bench, &mut self.optimizer, &mut encoder)?),
            false => None,
        };
        let submission = queue.submit([encoder.finish()]);
        self.done += batches.end - batches.start;
        self.pending.push_back(Pending { submission, batches, step: self.done, train, alphas, test });
        Ok(())
    }

    /// Waits for all pending results and takes them in.
    fn take_all(&mut self, watch: &mut dyn FnMut(Progress<'_>)) -> Result<(), TrainError> {
        while !self.pending.is_empty() {
            self.take_oldest(watch)?;
        }
        Ok(())
    }

    /// Waits for the oldest pending results and takes them in.
    fn take_oldest(&mut self, watch: &mut dyn FnMut(Progress<'_>)) -> Result<(), TrainError> {
        let Some(Pending { submission, batches, step, train, alphas, test }) = self.pending.pop_front()
        else {
            return Ok(());
        };
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        self.bench.gpu.device.poll(wait)?;
        let tallies = pollster::block_on(train.finish())?;
        let mut images = 0;
        let mut loss = 0.0;
        for (batch, tally) in batches.zip(&tallies) {
            let count = self.batches.images_of(batch);
            self.history.losses.push(f64::from(tally.loss) / f64::from(count));
            images += count;
            loss += f64::from(tally.loss);
        }
        watch(Progress::Images { count: images, loss: loss / f64::from(images) });
        if let Some(alphas) = alphas {
            let words = pollster::block_on(alphas.finish())?;
            self.take_alphas(step, &words);
        }
        if let Some(test) = test {
            let score = |tallies: Tallies| -> Result<Score, TrainError> {
                Ok(Score::new(&pollster::block_on(tallies.finish())?, self.test.batches.images()))
            };
            let tested = Tested {
                fast: score(test.fast)?,
                slow: test.slow.map(score).transpose()?,
                average: test.average.map(score).transpose()?,
            };
            self.history.samples.push(Sample {
                step,
                fast: tested.fast.accuracy,
                slow: tested.slow.map(|score| score.accuracy),
                average: tested.average.map(|score| score.accuracy),
            });
            self.last_test = Some(tested);
        }
        Ok(())
    }

    /// Takes in what [`Optimizer::alphas`] held; before the first sync it is zero.
    fn take_alphas(&mut self, step: u32, words: &[u32]) {
        let fixed = self.settings.lookahead.map_or(1.0, |(_, alpha, _)| alpha);
        let alphas = words.chunks_exact(2).map(|pair| f64::from(f32::from_bits(pair[0])));
        let values: Vec<_> = alphas.map(|alpha| if alpha < 0.0 { fixed } else { alpha }).collect();
        if values.iter().all(|alpha| *alpha > 0.0) {
            self.history.alphas.push(Alphas { step, values });
        }
    }
}

impl Test {
    async fn new(
        bench: &Workbench,
        network: &Network,
        fast: &[Slice],
        slow: Option<&[Slice]>,
        has_average: bool,
    ) -> Result<Self, TrainError> {
        let Workbench { gpu: Gpu { device, queue, .. }, kernels, test: images, .. } = bench;
        let batches = Batches::new(device, images, TEST_ROWS).await?;
        batches.fill(queue, &(0..batches.images()).collect::<Vec<_>>());
        let meter = Meter::new(device, batches.count()).await?;
        let forward = async |weights: &[Slice]| {
            let weights = bindings(weights);
            Forward::new(device, queue, kernels, network, images, &batches, &meter, &weights, None).await
        };
        let fast = forward(fast).await?;
        let slow = match slow {
            Some(slow) => Some(forward(slow).await?),
            None => None,
        };
        Ok(Self { batches, meter, fast, slow, has_average })
    }

    /// Records a test of all weights there are. The average takes the place of the fast weights meanwhile.
    fn record(
        &self,
        bench: &Workbench,
        optimizer: &mut Optimizer,
        encoder: &mut wgpu::CommandEncoder,
    ) -> Result<Tested<Tallies>, TrainError> {
        let score = |forward: &Forward, encoder: &mut wgpu::CommandEncoder| {
            self.meter.clear(encoder);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for batch in 0..self.batches.count() {
                forward.record(&bench.kernels, &mut pass, batch);
            }
            drop(pass);
            pollster::block_on(self.meter.read(&bench.gpu.device, encoder, 0..self.batches.count()))
        };
        let fast = score(&self.fast, encoder)?;
        let slow = self.slow.as_ref().map(|slow| score(slow, encoder)).transpose()?;
        let mut average = None;
        if self.has_average {
            optimizer.swap_average(encoder)?;
            average = Some(score(&self.fast, encoder)?);
            optimizer.swap_average(encoder)?;
        }
        Ok(Tested { fast, slow, average })
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
