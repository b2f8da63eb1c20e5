//! Images in memory, and a residual network: sections 5.1 and 5.5 of the paper.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;

use super::order::{Order, generator};
use crate::data::DataError;
use crate::data::images::{ImageSet, Images};
use crate::models::resnet::{ResNet, ResNetConfig};
use crate::models::smoothing::cross_entropy;
use crate::run::record::Scores;
use crate::task::{Part, Task};

/// Images, a network, and how batches are made.
pub struct ImageTask {
    train: Images,
    valid: Images,
    test: Images,
    shape: [usize; 3],
    moments: Vec<(f64, f64)>,
    network: ResNetConfig,
    settings: Settings,
    order: Order,
}

/// How batches are made.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Images a step.
    pub batch: usize,
    /// Images of the training part's end that are held out, for settings to be chosen by.
    pub valid: usize,
    /// By how many pixels images are moved at random, and whether half of them are mirrored.
    pub augment: Option<usize>,
    /// Of the batches' order and the augmentation.
    pub seed: u64,
}

impl ImageTask {
    /// Of a set of images.
    ///
    /// # Errors
    ///
    /// [`DataError::TooFew`] where what is not held out fills no batch.
    pub fn new(set: ImageSet, network: ResNetConfig, settings: Settings) -> Result<Self, DataError> {
        let moments = set.moments();
        let ImageSet { shape, train, test, .. } = set;
        let least = settings.batch.max(1) + settings.valid.max(1);
        if train.len() < least || test.is_empty() {
            return Err(DataError::TooFew {
                wanted: format!("a batch of {} beside {} held out", settings.batch, settings.valid),
                least,
                found: train.len(),
                unit: "images to train on, and one to test",
                advice: "take smaller batches",
            });
        }
        let count = train.len() - settings.valid.max(1);
        let (train, valid) = split(train, count, shape.iter().product());
        let order = Order::new(count, settings.batch, settings.seed);
        Ok(Self { train, valid, test, shape, moments, network, settings, order })
    }

    /// Images as a network's input, moved by `change`: what row and column of the source a pixel is taken from.
    fn inputs(&self, images: &Images, which: &[usize], mut change: impl FnMut() -> Change) -> Vec<f32> {
        let [_, height, width] = self.shape;
        let area = height * width;
        let tables = self.moments.iter().map(|&(mean, deviation)| {
            std::array::from_fn::<f32, 256, _>(|byte| {
                ((byte as f64 / 255.0 - mean) / deviation.max(1e-6)) as f32
            })
        });
        let tables: Vec<_> = tables.collect();
        let mut inputs = Vec::with_capacity(which.len() * tables.len() * area);
        for &index in which {
            let image = &images.pixels[index * tables.len() * area..];
            let change = change();
            for (plane, table) in image.chunks_exact(area).zip(&tables) {
                inputs.extend((0..area).map(|at| {
                    match change.source(at / width, at % width, height, width) {
                        Some((row, column)) => table[usize::from(plane[row * width + column])],
                        // Black, as He et al. pad.
                        None => table[0],
                    }
                }));
            }
        }
        inputs
    }

    /// Images of one part as a network's input, and their labels.
    fn batch(
        &self,
        images: &Images,
        which: &[usize],
        change: impl FnMut() -> Change,
        device: &Device,
    ) -> (Tensor<4>, Tensor<1, Int>) {
        let labels = which.iter().map(|&index| i32::from(images.labels[index])).collect();
        tensors(self.inputs(images, which, change), labels, self.shape, device)
    }
}

/// The first `count` images, and the others.
fn split(mut images: Images, count: usize, values: usize) -> (Images, Images) {
    let pixels = images.pixels.split_off(count * values);
    let labels = images.labels.split_off(count);
    (images, Images { pixels, labels })
}

/// Where an image's pixels come from.
#[derive(Clone, Copy, Default)]
struct Change {
    down: i32,
    right: i32,
    is_mirrored: bool,
}

impl Change {
    fn source(self, row: usize, column: usize, height: usize, width: usize) -> Option<(usize, usize)> {
        let column = if self.is_mirrored { width - 1 - column } else { column };
        let row = row.checked_add_signed(self.down as isize)?;
        let column = column.checked_add_signed(self.right as isize)?;
        (row < height && column < width).then_some((row, column))
    }
}

impl Task for ImageTask {
    type Model = ResNet;

    fn epoch_steps(&self) -> u64 {
        self.order.epoch_steps()
    }

    fn model(&self, device: &Device) -> ResNet {
        self.network.init(device)
    }

    fn loss(&mut self, model: &ResNet, step: u64) -> Result<Tensor<1>, DataError> {
        let Settings { augment, seed, .. } = self.settings;
        let which = self.order.batch(step).to_vec();
        let mut random = generator(seed, !step);
        let change = || match augment {
            Some(most) => {
                let most = most as i32;
                let mut shift = || random.random_range(-most..=most);
                let (down, right) = (shift(), shift());
                Change { down, right, is_mirrored: random.random() }
            }
            None => Change::default(),
        };
        let (inputs, labels) = self.batch(&self.train, &which, change, &model.output.weight.device());
        Ok(cross_entropy(model.forward(inputs), labels, 0.0, None))
    }

    fn evaluate(&self, model: &ResNet, part: Part) -> Result<Scores, DataError> {
        let images = match part {
            Part::Valid => &self.valid,
            Part::Test => &self.test,
        };
        let device = model.output.weight.device();
        let (mut loss, mut right) = (0.0, 0);
        let all: Vec<usize> = (0..images.len()).collect();
        for which in all.chunks(self.settings.batch.max(1)) {
            let (inputs, labels) = self.batch(images, which, Change::default, &device);
            let sums = score(model.forward(inputs), labels);
            (loss, right) = (loss + sums.0, right + sums.1);
        }
        let count = images.len() as f64;
        Ok(Scores { loss: loss / count, score: Some(100.0 * right as f64 / count) })
    }
}

/// A batch of images of this shape, and its labels.
pub(super) fn tensors(
    values: Vec<f32>,
    labels: Vec<i32>,
    [channels, height, width]: [usize; 3],
    device: &Device,
) -> (Tensor<4>, Tensor<1, Int>) {
    let count = labels.len();
    let images = TensorData::new(values, [count, channels, height, width]);
    (Tensor::from_data(images, device), Tensor::from_data(TensorData::new(labels, [count]), device))
}

/// The sum of a batch's losses, and how many of its images are put into the right class.
pub(super) fn score(logits: Tensor<2>, labels: Tensor<1, Int>) -> (f64, usize) {
    let hits = logits.clone().argmax(1).squeeze_dim::<1>(1).equal(labels.clone());
    let right = hits.into_data().iter::<bool>().filter(|&hit| hit).count();
    let logarithms = log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1));
    (-logarithms.sum().into_scalar::<f64>(), right)
}
