//! Images on the GPU, and which of them make up each batch.

use super::data::Split;
use super::device::{ModelError, checked, fits, storage};
use std::borrow::Cow;

/// Images and labels on the GPU.
#[derive(Clone)]
pub struct Images {
    pub(super) pixels: wgpu::Buffer,
    pub(super) labels: wgpu::Buffer,
    count: u32,
    pub(super) pixels_each: u32,
    pub(super) scale: f32,
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
    pub(super) rows: u32,
    /// Images of all batches.
    images: u32,
    /// Words from one batch to the next: a count and the indices, aligned.
    pub(super) stride: u32,
}

impl Batches {
    /// Room for batches of so many images.
    pub async fn new(device: &wgpu::Device, images: &Images, rows: u32) -> Result<Self, ModelError> {
        let rows = rows.min(images.count);
        let alignment = device.limits().min_storage_buffer_offset_alignment;
        let stride = (1 + rows).next_multiple_of(alignment.div_ceil(4));
        let bytes = 4 * u64::from(stride) * u64::from(images.count.div_ceil(rows));
        fits(device, "the indices of the batches", bytes, "use larger batches")?;
        let make = || Self { buffer: storage(device, "batches", bytes), rows, images: images.count, stride };
        checked(device, "making room for the batches", make).await
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
        for batch in order.chunks(self.rows as usize) {
            let end = words.len() + self.stride as usize;
            words.push(batch.len() as u32);
            words.extend_from_slice(batch);
            words.resize(end, 0);
        }
        queue.write_buffer(&self.buffer, 0, bytemuck::cast_slice(&words));
    }

    pub(super) fn binding(&self) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset: 0,
            size: wgpu::BufferSize::new(4 * u64::from(self.stride)),
        })
    }
}
