//! The digits and their network, which `examples/train` has: a rank's share of the images, batches in an order of its own,
//! and the passes over them.

use lookahead_wgpu::{Field, Optimizer, gpu::Gpu, wgpu};
use pollster::block_on;
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus, seq::SliceRandom};
use train::{
    batches::{Batches, Images},
    data::{CLASSES, Dataset, Split},
    device::ModelError,
    kernels::Kernels,
    meter::{Meter, Tallies, Tally},
    model::{Backward, Forward, Network, random_streams},
};

use crate::{TrainError, arguments::Arguments};

/// Pixels of an image.
const PIXELS: usize = 64;
/// Units of the hidden layer.
const HIDDEN: [usize; 1] = [64];
/// Test images of a pass.
const TEST_ROWS: u32 = 256;

/// The network.
pub fn network() -> Result<Network, ModelError> {
    Network::new(PIXELS, &HIDDEN, CLASSES)
}

/// The same first weights on all ranks.
pub fn upload_first_weights(optimizer: &mut Optimizer, seed: u64) -> Result<(), TrainError> {
    let network = network()?;
    let [mut random, _] = random_streams(seed);
    for (parameter, values) in network.parameters().iter().zip(network.initial_values(&mut random)) {
        optimizer.upload(&parameter.name, &values)?;
    }
    Ok(())
}

/// A rank's images, and the passes over them.
pub struct Digits {
    kernels: Kernels,
    batches: Batches,
    meter: Meter,
    forward: Forward,
    backward: Backward,
    test: Pass,
    seed: u64,
    rank: usize,
    /// The epoch whose order is there.
    epoch: Option<u64>,
    /// Batches whose losses were not read yet, counted within an epoch.
    unread: std::ops::Range<u32>,
    /// What was read of the epoch's earlier batches.
    read: Vec<Tally>,
    images: u64,
}

/// The pass over the images held out.
struct Pass {
    batches: Batches,
    meter: Meter,
    forward: Forward,
}

impl Digits {
    /// This rank's share: every `ranks`th image, of which all have as many.
    pub fn new(
        gpu: &Gpu,
        optimizer: &Optimizer,
        arguments: &Arguments,
        rank: usize,
        ranks: usize,
    ) -> Result<Self, TrainError> {
        let dataset = Dataset::digits()?;
        let images = dataset.train.len();
        if images < ranks {
            return Err(TrainError::TooMany { ranks, images });
        }
        let share = share(&dataset, rank, ranks);
        let slices = |field: Field<'_>| -> Result<Vec<_>, lookahead_wgpu::Error> {
            optimizer.tensors().map(|(name, _)| optimizer.buffer(field, name)).collect()
        };
        let (weights, gradients) = (slices(Field::Weights)?, slices(Field::Gradients)?);
        let weights: Vec<_> = weights.iter().map(|slice| slice.binding()).collect();
        let gradients: Vec<_> = gradients.iter().map(|slice| slice.binding()).collect();
        let (device, queue, network) = (&gpu.device, &gpu.queue, network()?);
        let made = block_on(async {
            let kernels = Kernels::new(device, None).await?;
            let images = Images::upload(device, queue, &share, dataset.scale).await?;
            let batches = Batches::new(device, &images, arguments.batch).await?;
            let meter = Meter::new(device, batches.count()).await?;
            let forward =
                Forward::new(device, queue, &kernels, &network, &images, &batches, &meter, &weights, None);
            let forward = forward.await?;
            let backward = Backward::new(device, queue, &kernels, &forward, &weights, &gradients).await?;
            let held_out = Images::upload(device, queue, &dataset.test, dataset.scale).await?;
            let test = Batches::new(device, &held_out, TEST_ROWS).await?;
            test.fill(queue, &(0..test.images()).collect::<Vec<_>>());
            let tallies = Meter::new(device, test.count()).await?;
            let pass =
                Forward::new(device, queue, &kernels, &network, &held_out, &test, &tallies, &weights, None);
            let test = Pass { forward: pass.await?, batches: test, meter: tallies };
            Ok::<_, ModelError>((kernels, batches, meter, forward, backward, test))
        });
        let (kernels, batches, meter, forward, backward, test) = made?;
        let (seed, images) = (arguments.seed, u64::from(batches.images()));
        Ok(Self {
            kernels,
            batches,
            meter,
            forward,
            backward,
            test,
            seed,
            rank,
            epoch: None,
            unread: 0..0,
            read: vec![],
            images,
        })
    }

    /// Steps of an epoch.
    pub fn steps(&self) -> u64 {
        u64::from(self.batches.count())
    }

    /// Records the gradients of a step's batch.
    pub fn record(&mut self, gpu: &Gpu, step: u64) -> wgpu::CommandEncoder {
        let (epoch, batch) = (step / self.steps(), (step % self.steps()) as u32);
        if self.epoch != Some(epoch) {
            self.begin(gpu, epoch, batch);
        }
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        self.forward.record(&self.kernels, &mut pass, batch);
        self.backward.record(&self.kernels, &mut pass);
        drop(pass);
        self.unread.end = batch + 1;
        encoder
    }

    /// Puts the images into the order of an epoch, which hangs on seed, rank and epoch alone.
    fn begin(&mut self, gpu: &Gpu, epoch: u64, batch: u32) {
        // Losses of the epoch before would be overwritten.
        if let Ok(tallies) = self.tallies(gpu) {
            self.read.extend(tallies);
        }
        let mix = self.seed ^ (epoch << 20) ^ ((self.rank as u64) << 44);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(mix);
        let mut order: Vec<u32> = (0..self.batches.images()).collect();
        order.shuffle(&mut random);
        self.batches.fill(&gpu.queue, &order);
        self.meter.skip_to(&gpu.queue, batch);
        (self.epoch, self.unread) = (Some(epoch), batch..batch);
    }

    /// The mean loss of the images since this was asked for.
    pub fn loss(&mut self, gpu: &Gpu) -> Result<f64, ModelError> {
        let count = self.read.len() + self.unread.len();
        let tallies = self.tallies(gpu)?;
        self.read.extend(tallies);
        self.unread.start = self.unread.end;
        let sum: f64 = self.read.drain(..).map(|tally| f64::from(tally.loss)).sum();
        // All batches but an epoch's last have as many images.
        let rows = self.images as f64 / self.steps() as f64;
        Ok(sum / (count as f64 * rows))
    }

    fn tallies(&self, gpu: &Gpu) -> Result<Vec<Tally>, ModelError> {
        if self.unread.is_empty() {
            return Ok(vec![]);
        }
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let tallies = block_on(self.meter.read(&gpu.device, &mut encoder, self.unread.clone()))?;
        finish(gpu, encoder, tallies)
    }

    /// The share of the images held out that the weights classify rightly.
    pub fn accuracy(&self, gpu: &Gpu) -> Result<f64, ModelError> {
        let Pass { batches, meter, forward } = &self.test;
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        meter.clear(&mut encoder);
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        (0..batches.count()).for_each(|batch| forward.record(&self.kernels, &mut pass, batch));
        drop(pass);
        let tallies = block_on(meter.read(&gpu.device, &mut encoder, 0..batches.count()))?;
        let correct: u32 = finish(gpu, encoder, tallies)?.iter().map(|tally| tally.correct).sum();
        Ok(f64::from(correct) / f64::from(batches.images()))
    }
}

/// Submits, and waits for what comes of it.
fn finish(gpu: &Gpu, encoder: wgpu::CommandEncoder, tallies: Tallies) -> Result<Vec<Tally>, ModelError> {
    gpu.queue.submit([encoder.finish()]);
    let failed = |problem: wgpu::PollError| ModelError::Device {
        doing: "reading losses",
        message: problem.to_string(),
    };
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).map_err(failed)?;
    block_on(tallies.finish())
}

/// A rank's images: as many as all have.
fn share(dataset: &Dataset, rank: usize, ranks: usize) -> Split {
    let mut share = Split::default();
    for index in 0..dataset.train.len() / ranks {
        let image = index * ranks + rank;
        share.pixels.extend(&dataset.train.pixels[image * PIXELS..(image + 1) * PIXELS]);
        share.labels.push(dataset.train.labels[image]);
    }
    share
}
