//! Pictures in files, decoded as they are needed, and a residual network: section 5.2 of the paper.

use std::num::NonZero;
use std::thread;

use burn::tensor::{Device, Int, Tensor};
use image::RgbImage;
use image::imageops::{self, FilterType};
use rand::RngExt;
use rand::rngs::StdRng;

use super::images::{score, tensors};
use super::order::{Order, generator};
use crate::data::imagenet::{Entry, Listing};
use crate::data::{DataError, picture};
use crate::models::resnet::{ResNet, ResNetConfig};
use crate::models::smoothing::cross_entropy;
use crate::run::record::Scores;
use crate::task::{Part, Task};

/// Pixels of a side, for the network.
const SIDE: u32 = 224;
/// Of the shorter side before the middle is cut out.
const SHORTER: u32 = 256;
/// ImageNet's means and standard deviations of red, green and blue.
const MOMENTS: [(f32, f32); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

/// Pictures and a network.
pub struct PictureTask {
    listing: Listing,
    network: ResNetConfig,
    batch: usize,
    seed: u64,
    order: Order,
}

impl PictureTask {
    /// Of the pictures that were found, `batch` a step. ImageNet's labels of the test part are not published: what is
    /// held out is its validation part.
    ///
    /// # Errors
    ///
    /// [`DataError::TooFew`] where they fill no batch.
    pub fn new(listing: Listing, network: ResNetConfig, batch: usize, seed: u64) -> Result<Self, DataError> {
        if listing.train.len() < batch.max(1) || listing.test.is_empty() {
            return Err(DataError::TooFew {
                wanted: format!("a batch of {batch}"),
                least: batch.max(1),
                found: listing.train.len(),
                unit: "pictures to train on, and one to test",
                advice: "take smaller batches",
            });
        }
        let order = Order::new(listing.train.len(), batch, seed);
        Ok(Self { listing, network, batch: batch.max(1), seed, order })
    }
}

/// Decodes on all cores: the values of one picture after those of the other.
fn decode(
    entries: &[&Entry],
    cut: impl Fn(usize, RgbImage) -> Vec<u8> + Sync,
) -> Result<Vec<f32>, DataError> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let share = entries.len().div_ceil(workers).max(1);
    let cut = &cut;
    let parts: Vec<Result<Vec<f32>, DataError>> = thread::scope(|scope| {
        let workers = entries.chunks(share).enumerate().map(|(worker, entries)| {
            scope.spawn(move || {
                let mut values = Vec::new();
                for (index, entry) in entries.iter().enumerate() {
                    let bytes = cut(worker * share + index, picture::decode(&entry.path)?);
                    for (plane, (mean, deviation)) in bytes.chunks_exact((SIDE * SIDE) as usize).zip(MOMENTS)
                    {
                        values.extend(plane.iter().map(|&byte| (f32::from(byte) / 255.0 - mean) / deviation));
                    }
                }
                Ok(values)
            })
        });
        let workers: Vec<_> = workers.collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut values = Vec::new();
    for part in parts {
        values.extend(part?);
    }
    Ok(values)
}

/// A part of 8 to 100 % of the area and of 3:4 to 4:3, in the network's size, mirrored half of the time, as ResNets are
/// trained with.
fn random_part(picture: &RgbImage, random: &mut StdRng) -> Vec<u8> {
    let (width, height) = picture.dimensions();
    let area = f64::from(width) * f64::from(height) * random.random_range(0.08..1.0);
    let ratio = random.random_range((3f64 / 4.0).ln()..(4f64 / 3.0).ln()).exp();
    let part_width = ((area * ratio).sqrt().round() as u32).clamp(1, width);
    let part_height = ((area / ratio).sqrt().round() as u32).clamp(1, height);
    let left = random.random_range(0..=width - part_width);
    let top = random.random_range(0..=height - part_height);
    let part = imageops::crop_imm(picture, left, top, part_width, part_height).to_image();
    let mut part = imageops::resize(&part, SIDE, SIDE, FilterType::Triangle);
    if random.random() {
        imageops::flip_horizontal_in_place(&mut part);
    }
    (0..3).flat_map(|channel| part.pixels().map(move |pixel| pixel.0[channel])).collect()
}

fn batch(values: Vec<f32>, entries: &[&Entry], device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let labels = entries.iter().map(|entry| entry.label as i32).collect();
    tensors(values, labels, [3, SIDE as usize, SIDE as usize], device)
}

impl Task for PictureTask {
    type Model = ResNet;

    fn epoch_steps(&self) -> u64 {
        self.order.epoch_steps()
    }

    fn model(&self, device: &Device) -> ResNet {
        self.network.init(device)
    }

    fn loss(&mut self, model: &ResNet, step: u64) -> Result<Tensor<1>, DataError> {
        let entries: Vec<&Entry> =
            self.order.batch(step).iter().map(|&index| &self.listing.train[index]).collect();
        let seed = self.seed;
        let cut = |index: usize, picture: RgbImage| {
            random_part(&picture, &mut generator(seed ^ ((index as u64) << 48), !step))
        };
        let (pictures, labels) = batch(decode(&entries, cut)?, &entries, &model.output.weight.device());
        Ok(cross_entropy(model.forward(pictures), labels, 0.0, None))
    }

    fn evaluate(&self, model: &ResNet, _: Part) -> Result<Scores, DataError> {
        let device = model.output.weight.device();
        let (mut loss, mut right) = (0.0, 0);
        let all: Vec<&Entry> = self.listing.test.iter().collect();
        for entries in all.chunks(self.batch) {
            let values = decode(entries, |_, picture| picture::centre(&picture, SHORTER, SIDE))?;
            let (pictures, labels) = batch(values, entries, &device);
            let sums = score(model.forward(pictures), labels);
            (loss, right) = (loss + sums.0, right + sums.1);
        }
        let count = all.len() as f64;
        Ok(Scores { loss: loss / count, score: Some(100.0 * right as f64 / count) })
    }
}
