//! The network, which `examples/train` has, on one rank: batches of its images in an order of its own, and the passes over
//! them.

use std::ops::Range;

use lookahead_wgpu::{Field, Optimizer, gpu::Gpu, wgpu};
use pollster::block_on;
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus, seq::SliceRandom};
use train::{
    batches::{Batches, Images},
    data::Dataset,
    device::ModelError,
    kernels::Kernels,
    meter::{Meter, Tallies, Tally},
    model::{Backward, Forward, Network, random_streams},
};

use crate::{TrainError, arguments::Arguments};

/// Test images of a pass.
const TEST_ROWS: u32 = 256;

/// The same first weights on all ranks.
pub fn upload_first_weights(
    optimizer: &mut Optimizer,
    network: &Network,
    seed: u64,
) -> Result<(), TrainError> {
    let [mut random, _] = random_streams(seed);
    for (parameter, values) in network.parameters().iter().zip(network.initial_values(&mut random)) {
        optimizer.upload(&parameter.name, &values)?;
    }
    Ok(())
}

/// A rank's images, and the passes over them.
pub struct Learner {
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
    /// Its batches whose losses were not read yet.
    unread: Range<u32>,
    /// What was read and is not told yet.
    read: Losses,
}

/// Losses of some images.
#[derive(Default)]
struct Losses {
    sum: f64,
    images: u64,
}

/// The pass over the images held out.
struct Pass {
    batches: Batches,
    meter: Meter,
    forward: Forward,
}

impl Learner {
    /// The passes over the images of `dataset`: this rank's share, and all of those held out.
    pub fn new(
        gpu: &Gpu,
        optimizer: &Optimizer,
        network: &Network,
        dataset: &Dataset,
        arguments: &Arguments,
        rank: usize,
    ) -> Result<Self, TrainError> {
        let slices = |field: Field<'_>| -> Result<Vec<_>, lookahead_wgpu::Error> {
            optimizer.tensors().map(|(name, _)| optimizer.buffer(field, name)).collect()
        };
        let (weights, gradients) = (slices(Field::Weights)?, slices(Field::Gradients)?);
        let weights: Vec<_> = weights.iter().map(|slice| slice.binding()).collect();
        let gradients: Vec<_> = gradients.iter().map(|slice| slice.binding()).collect();
        let (device, queue) = (&gpu.device, &gpu.queue);
        let made = block_on(async {
            let kernels = Kernels::new(device, None).await?;
            let images = Images::upload(device, queue, &dataset.train, dataset.scale).await?;
            let batches = Batches::new(device, &images, arguments.batch).await?;
            let meter = Meter::new(device, batches.count()).await?;
            let forward =
                Forward::new(device, queue, &kernels, network, &images, &batches, &meter, &weights, None);
            let forward = forward.await?;
            let backward = Backward::new(device, queue, &kernels, &forward, &weights, &gradients).await?;
            let held_out = Images::upload(device, queue, &dataset.test, dataset.scale).await?;
            let test = Batches::new(device, &held_out, TEST_ROWS).await?;
            test.fill(queue, &(0..test.images()).collect::<Vec<_>>());
            let tallies = Meter::new(device, test.count()).await?;
            let pass =
                Forward::new(device, queue, &kernels, network, &held_out, &test, &tallies, &weights, None);
            let test = Pass { forward: pass.await?, batches: test, meter: tallies };
            Ok::<_, ModelError>((kernels, batches, meter, forward, backward, test))
        });
        let (kernels, batches, meter, forward, backward, test) = made?;
        let seed = arguments.seed;
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
            read: Losses::default(),
        })
    }

    /// Steps of an epoch.
    pub fn steps(&self) -> u64 {
        u64::from(self.batches.count())
    }

    /// Records the gradients of a step's batch.
    pub fn record(&mut self, gpu: &Gpu, step: u64) -> Result<wgpu::CommandEncoder, ModelError> {
        let (epoch, batch) = (step / self.steps(), (step % self.steps()) as u32);
        if self.epoch != Some(epoch) {
            self.begin(gpu, epoch, batch)?;
        }
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        self.forward.record(&self.kernels, &mut pass, batch);
        self.backward.record(&self.kernels, &mut pass);
        drop(pass);
        self.unread.end = batch + 1;
        Ok(encoder)
    }

    /// Puts the images into the order of an epoch, which hangs on seed, rank and epoch alone.
    fn begin(&mut self, gpu: &Gpu, epoch: u64, batch: u32) -> Result<(), ModelError> {
        // Losses of the epoch before would be overwritten.
        self.read(gpu)?;
        let mix = self.seed ^ (epoch << 20) ^ ((self.rank as u64) << 44);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(mix);
        let mut order: Vec<u32> = (0..self.batches.images()).collect();
        order.shuffle(&mut random);
        self.batches.fill(&gpu.queue, &order);
        self.meter.skip_to(&gpu.queue, batch);
        (self.epoch, self.unread) = (Some(epoch), batch..batch);
        Ok(())
    }

    /// The mean loss of the images since this was asked for.
    pub fn loss(&mut self, gpu: &Gpu) -> Result<f64, ModelError> {
        self.read(gpu)?;
        let Losses { sum, images } = std::mem::take(&mut self.read);
        Ok(sum / images as f64)
    }

    /// Waits for the losses that were not read yet.
    fn read(&mut self, gpu: &Gpu) -> Result<(), ModelError> {
        if self.unread.is_empty() {
            return Ok(());
        }
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let tallies = block_on(self.meter.read(&gpu.device, &mut encoder, self.unread.clone()))?;
        let sum: f64 = finish(gpu, encoder, tallies)?.iter().map(|tally| f64::from(tally.loss)).sum();
        let images: u32 = self.unread.clone().map(|batch| self.batches.images_of(batch)).sum();
        self.read.sum += sum;
        self.read.images += u64::from(images);
        self.unread.start = self.unread.end;
        Ok(())
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
