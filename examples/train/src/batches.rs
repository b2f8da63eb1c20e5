//! Images on the GPU, and which of them make up each batch.

use crate::data::Split;
use crate::device::{ModelError, checked, fits, storage};
use std::borrow::Cow;

/// Images and labels on the GPU.
#[derive(Clone)]
pub struct Images {
    pub(crate) pixels: wgpu::Buffer,
    pub(crate) labels: wgpu::Buffer,
    count: u32,
    pub(crate) pixels_each: u32,
    pub(crate) scale: f32,
}

impl Images {
    /// Uploads images, whose bytes times `scale` the network sees.
    pub async fn upload(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        split: &Split,
        scale: f32,
    ) -> Result<Self, ModelError> {
        let count = split.len();
        let pixels_each = split.pixels.len() / count.max(1);
        // Each image begins a new word.
        let stride = pixels_each.next_multiple_of(4);
        let pixels: Cow<'_, [u8]> = if stride == pixels_each {
            Cow::Borrowed(&split.pixels)
        } else {
            let padding = vec![0; stride - pixels_each];
            let rows = split.pixels.chunks(pixels_each);
            Cow::Owned(rows.flat_map(|row| row.iter().chain(&padding)).copied().collect())
        };
        let labels: Vec<u32> = split.labels.iter().map(|&label| u32::from(label)).collect();
        let advice = "train on fewer images";
        fits(device, "the images", pixels.len() as u64, advice)?;
        fits(device, "the labels", 4 * labels.len() as u64, advice)?;
        checked(device, "uploading the images", || {
            let upload = |label, bytes: &[u8]| {
                let buffer = storage(device, label, bytes.len() as u64);
                queue.write_buffer(&buffer, 0, bytes);
                buffer
            };
            Self {
                pixels: upload("images", &pixels),
                labels: upload("labels", bytemuck::cast_slice(&labels)),
                count: count as u32,
                pixels_each: pixels_each as u32,
                scale,
            }
        })
        .await
    }
}

/// The images of every batch of an epoch, by index, on the GPU.
pub struct Batches {
    buffer: wgpu::Buffer,
    /// Images of a full batch.
    pub(crate) rows: u32,
    /// Images of all batches.
    images: u32,
    /// Words from one batch to the next: a count, a divisor and the indices, aligned.
    pub(crate) stride: u32,
    /// Batches of a step.
    micro_batches: u32,
}

/// Words of a batch before its indices.
const HEADER: u32 = 2;

impl Batches {
    /// Room for batches of so many images.
    pub async fn new(device: &wgpu::Device, images: &Images, rows: u32) -> Result<Self, ModelError> {
        let rows = rows.min(images.count);
        let alignment = device.limits().min_storage_buffer_offset_alignment;
        let stride = (HEADER + rows).next_multiple_of(alignment.div_ceil(4));
        let bytes = 4 * u64::from(stride) * u64::from(images.count.div_ceil(rows));
        let (what, advice) = ("the indices of the batches", "use larger batches");
        fits(device, what, bytes, advice)?;
        // A dispatch finds its batch by an offset of 32 bits.
        let limit = u64::from(u32::MAX);
        if bytes > limit {
            return Err(ModelError::TooLarge { what, bytes, limit, advice });
        }
        let make = || Self {
            buffer: storage(device, "batches", bytes),
            rows,
            images: images.count,
            stride,
            micro_batches: 1,
        };
        checked(device, "making room for the batches", make).await
    }

    /// As many batches make one step; what is left at the end of an epoch makes one of its own.
    pub fn in_steps_of(self, micro_batches: u32) -> Self {
        Self { micro_batches: micro_batches.max(1), ..self }
    }

    /// Steps of an epoch.
    pub fn steps(&self) -> u32 {
        self.count().div_ceil(self.micro_batches)
    }

    /// Batches that so many steps are made of, from the beginning of the first epoch on.
    pub fn of_steps(&self, steps: u64) -> u64 {
        let (epochs, rest) = (steps / u64::from(self.steps()), steps % u64::from(self.steps()));
        let rest = rest * u64::from(self.micro_batches);
        epochs.saturating_mul(u64::from(self.count())).saturating_add(rest)
    }

    /// Whether an epoch's last step has fewer batches than the others.
    pub fn has_short_step(&self) -> bool {
        !self.count().is_multiple_of(self.micro_batches)
    }

    /// What the sums over a batch, counted from 0, are divided by: the images of its step by the batches of that.
    /// The mean of the batches' gradients is then the mean over the images, each with the same weight.
    fn divisor(&self, batch: u32) -> f32 {
        let first = batch - batch % self.micro_batches;
        let batches = self.micro_batches.min(self.count() - first);
        let images = (u64::from(batches) * u64::from(self.rows))
            .min(u64::from(self.images) - u64::from(first) * u64::from(self.rows));
        (images as f64 / f64::from(batches)) as f32
    }

    /// How many batches there are; the last may be shorter than the others.
    pub fn count(&self) -> u32 {
        self.images.div_ceil(self.rows)
    }

    /// How many images there are in all.
    pub fn images(&self) -> u32 {
        self.images
    }

    /// How many images a batch has, counted from 0.
    pub fn images_of(&self, batch: u32) -> u32 {
        self.rows.min(self.images - batch * self.rows)
    }

    /// Takes the images in this order. It holds for commands that are submitted later.
    pub fn fill(&self, queue: &wgpu::Queue, order: &[u32]) {
        let mut words = Vec::with_capacity(self.stride as usize * self.count() as usize);
        for (index, batch) in (0..).zip(order.chunks(self.rows as usize)) {
            let end = words.len() + self.stride as usize;
            words.extend([batch.len() as u32, self.divisor(index).to_bits()]);
            words.extend_from_slice(batch);
            words.resize(end, 0);
        }
        queue.write_buffer(&self.buffer, 0, bytemuck::cast_slice(&words));
    }

    pub(crate) fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: 0,
            size: wgpu::BufferSize::new(4 * u64::from(self.stride)),
        })
    }
}
