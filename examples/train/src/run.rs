//! One training run, driven from outside, and never waiting by itself: so it works on the web as it does natively.

#[cfg(not(target_arch = "wasm32"))]
mod timed;

use crate::batches::{Batches, Images};
use crate::data::{CLASSES, Dataset};
use crate::device::ModelError;
use crate::history::{Alphas, Divergence, Epoch, History, Sample, Setting};
use crate::kernels::Kernels;
use crate::meter::{Meter, Tallies, Tally};
use crate::model::{Backward, Forward, Network, random_streams};
use crate::options::{BIASES, HalfName};
use crate::reading::Reading;
use crate::settings::{PolicyName, Settings};
use lookahead_wgpu::gpu::{Gpu, Pipelines};
use lookahead_wgpu::{DEFAULT_GROUP, Lookahead, Optimizer, Slice, Snapshot, StatePolicy, wgpu};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use std::collections::VecDeque;
use std::ops::Range;

/// Test images of one pass.
const TEST_ROWS: u32 = 256;

/// A run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The optimizer refused something.
    #[error(transparent)]
    Optimizer(#[from] lookahead_wgpu::Error),
    /// The network did.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A snapshot counts more batches than there is memory for a history of.
    #[error("the checkpoint counts {batches} batches, and the losses of these do not fit in memory")]
    History {
        /// Batches.
        batches: u64,
    },
}

/// A data set and the shaders on a GPU, for any number of runs.
#[derive(Clone)]
pub struct Workbench {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// The shaders, for f32.
    pub kernels: Kernels,
    /// The optimizers' shaders so far.
    pub pipelines: Pipelines,
    train: Images,
    test: Images,
    pixels: usize,
}

impl Workbench {
    /// Uploads the data and compiles the shaders.
    pub async fn new(gpu: &Gpu, dataset: &Dataset) -> Result<Self, ModelError> {
        let Gpu { device, queue, pipelines, .. } = gpu;
        Ok(Self {
            device: device.clone(),
            queue: queue.clone(),
            kernels: Kernels::new(device, None).await?,
            pipelines: pipelines.clone(),
            train: Images::upload(device, queue, &dataset.train, dataset.scale).await?,
            test: Images::upload(device, queue, &dataset.test, dataset.scale).await?,
            pixels: dataset.pixels(),
        })
    }

    /// Other data, with the shaders that are there.
    pub async fn with_data(&self, dataset: &Dataset) -> Result<Self, ModelError> {
        let Self { device, queue, .. } = self;
        Ok(Self {
            train: Images::upload(device, queue, &dataset.train, dataset.scale).await?,
            test: Images::upload(device, queue, &dataset.test, dataset.scale).await?,
            pixels: dataset.pixels(),
            ..self.clone()
        })
    }
}

/// A run under way.
pub struct Run {
    bench: Workbench,
    settings: Settings,
    optimizer: Optimizer,
    batches: Batches,
    meter: Meter,
    /// The shaders of the passes, where they are half-width.
    half_kernels: Option<Kernels>,
    forward: Forward,
    backward: Backward,
    test: Test,
    /// The images in the order of the epoch under way, and how many epochs' orders were drawn.
    order: Vec<u32>,
    orders: u64,
    random: Xoshiro256PlusPlus,
    /// Batches that were submitted.
    done: u64,
    /// Readings on their way, the oldest first.
    pending: VecDeque<Pending>,
    last_test: Option<Tested<Score>>,
    history: History,
}

/// What some batches came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taken {
    /// Their images.
    pub images: u64,
    /// The mean loss of these.
    pub loss: f64,
    /// Whether they end an epoch, whose summary is the history's last.
    pub is_end_of_epoch: bool,
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
    step: u64,
    train: Tallies,
    alphas: Option<Reading>,
    test: Option<Tested<Tallies>>,
}

impl Run {
    /// A new network and its optimizer, before the first step.
    pub async fn new(bench: &Workbench, settings: &Settings) -> Result<Self, RunError> {
        let Workbench { device, queue, pipelines, .. } = bench;
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
        let mut optimizer = builder.pipelines(pipelines).build(device, queue).await?;
        let [mut random, of_order] = random_streams(settings.seed);
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
        let batches = batches.in_steps_of(options.micro_batches());
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
            batches: batches.count(),
            memory: optimizer.memory(),
            guard: None,
            steps: 0,
            divergence: None,
            #[cfg(not(target_arch = "wasm32"))]
            profile: None,
        };
        Ok(Self {
            bench: bench.clone(),
            settings: settings.clone(),
            optimizer,
            order: (0..batches.images()).collect(),
            orders: 0,
            random: of_order,
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

    /// Goes on from a snapshot and the history up to it or longer. What a shorter one lacks is not a number.
    pub fn resume(&mut self, snapshot: &Snapshot, history: &History) -> Result<(), RunError> {
        self.optimizer.import(snapshot)?;
        let steps = snapshot.steps.saturating_add(snapshot.skipped);
        let done = self.batches.of_steps(steps).saturating_add(u64::from(snapshot.accumulated));
        let new = &self.history;
        let mut history =
            History { batches: new.batches, memory: new.memory, guard: new.guard, ..history.clone() };
        history.truncate(done);
        let missing = usize::try_from(done).ok().and_then(|done| done.checked_sub(history.losses.len()));
        let Some(missing) = missing.filter(|missing| history.losses.try_reserve_exact(*missing).is_ok())
        else {
            return Err(RunError::History { batches: done });
        };
        history.losses.extend(std::iter::repeat_n(f64::NAN, missing));
        self.history = history;
        self.done = done;
        Ok(())
    }

    /// How it trains.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The batches of an epoch.
    pub fn batches(&self) -> &Batches {
        &self.batches
    }

    /// What was taken in so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Batches that were submitted.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Whether the last batch was submitted.
    pub fn is_done(&self) -> bool {
        self.done >= self.total()
    }

    /// Batches of the whole run.
    pub fn total(&self) -> u64 {
        u64::from(self.settings.epochs) * u64::from(self.batches.count())
    }

    /// Command buffers whose results were not taken in yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The oldest of these.
    pub fn oldest(&self) -> Option<wgpu::SubmissionIndex> {
        self.pending.front().map(|pending| pending.submission.clone())
    }

    /// Submits the next batches, at most so many, up to the next test or the end of an epoch; their results will
    /// be pending.
    pub async fn submit(&mut self, most: u32) -> Result<(), RunError> {
        let batches = self.next_batches(most);
        let mut encoder = self.encoder();
        for batch in batches.clone() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.forward.record(self.kernels(), &mut pass, batch);
            self.backward.record(self.kernels(), &mut pass);
            drop(pass);
            self.step(&mut encoder, batch)?;
        }
        self.submit_results(encoder, batches).await
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.bench.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    fn kernels(&self) -> &Kernels {
        self.half_kernels.as_ref().unwrap_or(&self.bench.kernels)
    }

    /// The next batches of the epoch, at most so many, up to the next test.
    fn next_batches(&mut self, most: u32) -> Range<u32> {
        let first = (self.done % u64::from(self.batches.count())) as u32;
        self.begin_epoch(first);
        first..self.next_test(first).min(first.saturating_add(most))
    }

    /// Records what the optimizer does once a batch's gradient is there.
    fn step(&mut self, encoder: &mut wgpu::CommandEncoder, batch: u32) -> Result<(), RunError> {
        self.optimizer.step(encoder)?;
        // An epoch's last batches make a step even where they are fewer than the others'.
        if batch + 1 == self.batches.count() && self.batches.has_short_step() {
            self.optimizer.flush(encoder)?;
        }
        Ok(())
    }

    /// Records the way back of what batches came to, and the test that is due, and submits all of it.
    async fn submit_results(
        &mut self,
        mut encoder: wgpu::CommandEncoder,
        batches: Range<u32>,
    ) -> Result<(), RunError> {
        let device = &self.bench.device;
        let train = self.meter.read(device, &mut encoder, batches.clone()).await?;
        let alphas = match self.optimizer.alphas() {
            Some(buffer) => Some(Reading::new(device, &mut encoder, buffer, 0, buffer.size()).await?),
            None => None,
        };
        let test = match batches.end == self.next_test(batches.start) {
            true => Some(self.test.record(&self.bench, &mut self.optimizer, &mut encoder).await?),
            false => None,
        };
        let submission = self.bench.queue.submit([encoder.finish()]);
        self.done += batches.len() as u64;
        self.pending.push_back(Pending { submission, batches, step: self.done, train, alphas, test });
        Ok(())
    }

    /// Puts the images of the epoch that the next batch is of into their order. The meter goes on where it is.
    fn begin_epoch(&mut self, first: u32) {
        let epoch = self.done / u64::from(self.batches.count()) + 1;
        if self.orders == epoch {
            return;
        }
        while self.orders < epoch {
            self.order.shuffle(&mut self.random);
            self.orders += 1;
        }
        self.batches.fill(&self.bench.queue, &self.order);
        self.meter.skip_to(&self.bench.queue, first);
    }

    /// Takes in the oldest pending results, once they are there. Off the web, somebody has to poll the device.
    /// `clock` gives the seconds since the run began.
    pub async fn take_oldest(&mut self, clock: &dyn Fn() -> f64) -> Result<Option<Taken>, RunError> {
        let Some(Pending { batches, step, train, alphas, test, .. }) = self.pending.pop_front() else {
            return Ok(None);
        };
        let (mut images, mut loss) = (0u64, 0.0);
        let first = self.history.losses.len();
        for (batch, tally) in batches.zip(&train.finish().await?) {
            let count = self.batches.images_of(batch);
            self.history.losses.push(f64::from(tally.loss) / f64::from(count));
            images += u64::from(count);
            loss += f64::from(tally.loss);
        }
        self.note(Divergence::of_losses(&self.history.losses, first));
        if let Some(alphas) = alphas {
            self.take_alphas(step, &alphas.finish().await?);
        }
        if let Some(test) = test {
            self.take_test(step, test).await?;
        }
        let count = u64::from(self.batches.count());
        let is_end_of_epoch = step.is_multiple_of(count);
        if is_end_of_epoch {
            self.end_epoch(step / count, clock());
        }
        Ok(Some(Taken { images, loss: loss / images as f64, is_end_of_epoch }))
    }

    /// Submits a look at the loss that some test images have now, at the fast weights and at the slow ones.
    pub async fn probe(&self) -> Result<(wgpu::SubmissionIndex, Vec<Tallies>), RunError> {
        let Workbench { device, queue, kernels, .. } = &self.bench;
        let Test { meter, fast, slow, .. } = &self.test;
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut tallies = Vec::new();
        for forward in std::iter::once(fast).chain(slow) {
            meter.clear(&mut encoder);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            forward.record(kernels, &mut pass, 0);
            drop(pass);
            tallies.push(meter.read(device, &mut encoder, 0..1).await?);
        }
        Ok((queue.submit([encoder.finish()]), tallies))
    }

    /// Looks whether the run has diverged, by a snapshot and a probe of this moment, whose results are all in. The
    /// history says so then.
    pub async fn check(&mut self, snapshot: &Snapshot, probe: Vec<Tallies>) -> Result<(), RunError> {
        let mut losses = Vec::new();
        for tallies in probe {
            losses.extend(tallies.finish().await?.iter().map(|tally| f64::from(tally.loss)));
        }
        self.note(Divergence::of_state(snapshot, &losses, self.done));
        Ok(())
    }

    /// The first divergence counts.
    fn note(&mut self, found: Option<Divergence>) {
        let known = self.history.divergence.take();
        self.history.divergence = known.or(found);
    }

    async fn take_test(&mut self, step: u64, test: Tested<Tallies>) -> Result<(), RunError> {
        let images = self.test.batches.images();
        let score = async |tallies: Tallies| -> Result<Score, RunError> {
            Ok(Score::new(&tallies.finish().await?, images))
        };
        let optional = async |tallies: Option<Tallies>| -> Result<Option<Score>, RunError> {
            match tallies {
                Some(tallies) => Ok(Some(score(tallies).await?)),
                None => Ok(None),
            }
        };
        let tested = Tested {
            fast: score(test.fast).await?,
            slow: optional(test.slow).await?,
            average: optional(test.average).await?,
        };
        self.history.samples.push(Sample {
            step,
            fast: tested.fast.accuracy,
            slow: tested.slow.map(|score| score.accuracy),
            average: tested.average.map(|score| score.accuracy),
        });
        self.last_test = Some(tested);
        Ok(())
    }

    /// Takes in what [`Optimizer::alphas`] held; before the first sync it is zero.
    fn take_alphas(&mut self, step: u64, words: &[u32]) {
        let fixed = self.settings.lookahead.map_or(1.0, |(_, alpha, _)| alpha);
        let alphas = words.chunks_exact(2).map(|pair| f64::from(f32::from_bits(pair[0])));
        let values: Vec<_> = alphas.map(|alpha| if alpha < 0.0 { fixed } else { alpha }).collect();
        if values.iter().all(|alpha| *alpha > 0.0) {
            self.history.alphas.push(Alphas { step, values });
        }
    }

    /// Sums up the epoch; it ended with a test.
    fn end_epoch(&mut self, epoch: u64, seconds: f64) {
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
}

impl Test {
    async fn new(
        bench: &Workbench,
        network: &Network,
        fast: &[Slice],
        slow: Option<&[Slice]>,
        has_average: bool,
    ) -> Result<Self, RunError> {
        let Workbench { device, queue, kernels, test: images, .. } = bench;
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
    async fn record(
        &self,
        bench: &Workbench,
        optimizer: &mut Optimizer,
        encoder: &mut wgpu::CommandEncoder,
    ) -> Result<Tested<Tallies>, RunError> {
        let score = async |forward: &Forward, encoder: &mut wgpu::CommandEncoder| {
            self.meter.clear(encoder);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for batch in 0..self.batches.count() {
                forward.record(&bench.kernels, &mut pass, batch);
            }
            drop(pass);
            self.meter.read(&bench.device, encoder, 0..self.batches.count()).await
        };
        let fast = score(&self.fast, encoder).await?;
        let slow = match &self.slow {
            Some(slow) => Some(score(slow, encoder).await?),
            None => None,
        };
        let mut average = None;
        if self.has_average {
            optimizer.swap_average(encoder)?;
            average = Some(score(&self.fast, encoder).await?);
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

fn policy(name: PolicyName) -> StatePolicy {
    match name {
        PolicyName::Maintain => StatePolicy::Maintain,
        PolicyName::Interpolate => StatePolicy::Interpolate,
        PolicyName::Reset => StatePolicy::Reset,
    }
}
