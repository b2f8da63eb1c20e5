//! Weights alone, in safetensors files as PyTorch's users have them: one entry a tensor, by its name.

#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

use super::container::{self, Contents, Entry, shown};
#[cfg(not(target_arch = "wasm32"))]
use super::file;
use crate::{error::Error, optimizer::Optimizer, readback::Field, transfer::Writer};

/// What bytes are called in errors.
const WEIGHTS: &str = "the file of weights";

impl Optimizer {
    /// Uploads the weights of a safetensors file: one entry for each tensor, by its name and of its shape, in F32,
    /// F64, F16 or BF16. The names of entries that are no tensor's are given back. Once training has begun,
    /// [`reseed`](Self::reseed) makes the slow weights follow.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where an entry is missing or has another shape or type; [`Error::Swapped`] and
    /// [`Error::Range`] as [`upload`](Self::upload). Nothing was written then.
    pub fn import_weights(&mut self, bytes: &[u8]) -> Result<Vec<String>, Error> {
        self.upload_entries(bytes, WEIGHTS.to_owned())
    }

    /// [`import_weights`](Self::import_weights) from a file.
    ///
    /// # Errors
    ///
    /// As [`import_weights`](Self::import_weights), and [`Error::File`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<Vec<String>, Error> {
        let path = path.as_ref();
        self.upload_entries(&file::read(path)?, file::named(path))
    }

    /// The bytes of a safetensors file with one field of every tensor, by the tensor's name, in F32: the weights,
    /// the slow weights, the average, or any other that every tensor has. The metadata are `format: pt`, as
    /// PyTorch's tools want them. The future ends by itself, as a [`download`](Self::download) does.
    ///
    /// # Errors
    ///
    /// What [`download`](Self::download) gives; [`Error::Checkpoint`] where a tensor is called `__metadata__`.
    pub async fn export_weights(&self, field: Field<'_>) -> Result<Vec<u8>, Error> {
        let sources = (0..self.layout.tensors.len()).map(|tensor| self.source(field, tensor));
        let values = self.read(sources.collect::<Result<_, _>>()?).await?;
        self.encode_weights(&values)
    }

    /// [`export_weights`](Self::export_weights), waiting for it.
    ///
    /// # Errors
    ///
    /// As [`export_weights`](Self::export_weights).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn export_weights_blocking(&self, field: Field<'_>) -> Result<Vec<u8>, Error> {
        pollster::block_on(self.export_weights(field))
    }

    /// [`export_weights`](Self::export_weights) to a file, which is replaced at once as by
    /// [`Snapshot::save`](crate::Snapshot::save).
    ///
    /// # Errors
    ///
    /// As [`export_weights`](Self::export_weights), and [`Error::File`].
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn save_weights(&self, path: impl AsRef<Path>, field: Field<'_>) -> Result<(), Error> {
        file::write(path.as_ref(), &self.export_weights(field).await?)
    }

    /// [`save_weights`](Self::save_weights), waiting for it.
    ///
    /// # Errors
    ///
    /// As [`save_weights`](Self::save_weights).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn save_weights_blocking(&self, path: impl AsRef<Path>, field: Field<'_>) -> Result<(), Error> {
        pollster::block_on(self.save_weights(path, field))
    }

    fn encode_weights(&self, values: &[Vec<f32>]) -> Result<Vec<u8>, Error> {
        let named = self.tensors().zip(values);
        let entries = named.map(|((name, shape), values)| (name.to_owned(), Entry::f32(shape, values)));
        container::write(entries.collect(), ("format", "pt".to_owned()))
            .map_err(|problem| Error::Checkpoint { file: WEIGHTS.to_owned(), problem })
    }

    fn upload_entries(&mut self, bytes: &[u8], file: String) -> Result<Vec<String>, Error> {
        self.check_not_swapped("import_weights")?;
        let wrong = |problem| Error::Checkpoint { file: file.clone(), problem };
        let Contents { mut entries, .. } = container::read(bytes).map_err(wrong)?;
        let mut weights = Vec::new();
        for (index, (name, shape)) in self.tensors().enumerate() {
            let Some(entry) = entries.remove(name) else {
                return Err(wrong(format!("lacks the tensor `{name}`")));
            };
            if entry.shape != shape {
                let found = shown(&entry.shape);
                return Err(wrong(format!("has `{name}` in the shape {found}, and it is {shape:?} here")));
            }
            if let Some(slices) = &self.borrowed {
                slices[index].check_usage("weights", name, wgpu::BufferUsages::COPY_DST)?;
            }
            let Some(values) = entry.converted() else {
                let dtype = entry.dtype;
                return Err(wrong(format!("has `{name}` in {dtype}, and F32, F64, F16 or BF16 is due")));
            };
            weights.push(values);
        }
        let mut writer = Writer::new(self);
        for (tensor, values) in weights.iter().enumerate() {
            writer.weights(tensor, values)?;
        }
        writer.finish()?;
        Ok(entries.into_keys().collect())
    }
}
