//! Weights alone, in safetensors files as PyTorch's users have them: one entry a tensor, by its name.

#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

#[cfg(not(target_arch = "wasm32"))]
use super::file;
use super::{
    container::{self, Contents, Entry, shown},
    names::without_wrappers,
};
use crate::{
    engine::{Engine, Usage},
    error::{Error, list},
    layout::field::Field,
    optimizer::Optimizer,
};

/// What bytes are called in errors.
const WEIGHTS: &str = "the file of weights";

impl<E: Engine> Optimizer<E> {
    /// Uploads the weights of a safetensors file: one entry for each tensor, by its name and of its shape, in F32,
    /// F64, F16 or BF16. The names of entries that are no tensor's are given back. Once training has begun,
    /// [`init_synced`](Self::init_synced) makes the slow weights follow.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where entries are missing or have another shape or type: it lists all of them, and the
    /// names that the file has besides; [`Error::Swapped`] and [`Error::Range`] as [`upload`](Self::upload). Nothing was
    /// written then.
    pub fn import_weights(&mut self, bytes: &[u8]) -> Result<Vec<String>, Error> {
        self.import_weights_with(bytes, str::to_owned)
    }

    /// [`import_weights`](Self::import_weights) where the names are others: `names` gives for the name of each entry
    /// the tensor's here. [`without_wrappers`](super::without_wrappers) is one.
    ///
    /// # Errors
    ///
    /// As [`import_weights`](Self::import_weights), and [`Error::Checkpoint`] where two entries are given one name.
    pub fn import_weights_with(
        &mut self,
        bytes: &[u8],
        names: impl Fn(&str) -> String,
    ) -> Result<Vec<String>, Error> {
        self.upload_entries(bytes, WEIGHTS.to_owned(), names)
    }

    /// [`import_weights`](Self::import_weights) from a file.
    ///
    /// # Errors
    ///
    /// As [`import_weights`](Self::import_weights), and [`Error::File`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<Vec<String>, Error> {
        self.load_weights_with(path, str::to_owned)
    }

    /// [`import_weights_with`](Self::import_weights_with) from a file.
    ///
    /// # Errors
    ///
    /// As [`import_weights_with`](Self::import_weights_with), and [`Error::File`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load_weights_with(
        &mut self,
        path: impl AsRef<Path>,
        names: impl Fn(&str) -> String,
    ) -> Result<Vec<String>, Error> {
        let path = path.as_ref();
        self.upload_entries(&file::read(path)?, file::named(path), names)
    }

    /// The bytes of a safetensors file with one field of every tensor, by the tensor's name, in F32: the weights,
    /// the slow weights, the average, or any other that every tensor has. The metadata are `format: pt`, as
    /// PyTorch's tools want them. The future ends by itself, as a [`download`](Self::download) does.
    ///
    /// # Errors
    ///
    /// What [`download`](Self::download) gives; [`Error::Checkpoint`] where a tensor is called `__metadata__`.
    pub async fn export_weights(&self, field: Field<'_>) -> Result<Vec<u8>, Error> {
        self.encode_weights(&self.download_all(field).await?)
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
    /// [`Snapshot::save`](crate::Snapshot::save): here a safetensors file that is no checkpoint, or an empty one.
    ///
    /// # Errors
    ///
    /// As [`export_weights`](Self::export_weights), [`Error::Occupied`] and [`Error::File`].
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn save_weights(&self, path: impl AsRef<Path>, field: Field<'_>) -> Result<(), Error> {
        file::write(path.as_ref(), &self.export_weights(field).await?, file::Kind::Weights)
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

    /// [`save_weights`](Self::save_weights), over a regular file of any kind.
    ///
    /// # Errors
    ///
    /// As [`save_weights`](Self::save_weights).
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn save_weights_over(&self, path: impl AsRef<Path>, field: Field<'_>) -> Result<(), Error> {
        file::write(path.as_ref(), &self.export_weights(field).await?, file::Kind::Any)
    }

    /// [`save_weights_over`](Self::save_weights_over), waiting for it.
    ///
    /// # Errors
    ///
    /// As [`save_weights`](Self::save_weights).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn save_weights_over_blocking(&self, path: impl AsRef<Path>, field: Field<'_>) -> Result<(), Error> {
        pollster::block_on(self.save_weights_over(path, field))
    }

    fn encode_weights(&self, values: &[Vec<f32>]) -> Result<Vec<u8>, Error> {
        let named = self.tensors().zip(values);
        let entries = named.map(|((name, shape), values)| (name.to_owned(), Entry::f32(shape, values)));
        container::write(entries.collect(), ("format", "pt".to_owned()))
            .map_err(|problem| Error::Checkpoint { file: WEIGHTS.to_owned(), problem })
    }

    fn upload_entries(
        &mut self,
        bytes: &[u8],
        file: String,
        names: impl Fn(&str) -> String,
    ) -> Result<Vec<String>, Error> {
        self.plan.check_not_swapped("import_weights")?;
        let wrong = |problem| Error::Checkpoint { file: file.clone(), problem };
        let contents = container::read(bytes).and_then(|contents| contents.renamed(names));
        let mut contents = contents.map_err(wrong)?;
        let (mut weights, mut missing, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (name, shape) in self.tensors() {
            match contents.take(name) {
                Ok(None) => missing.push(name),
                Ok(Some(entry)) => match converted(name, &entry, shape) {
                    Ok(values) => weights.push(values),
                    Err(problem) => problems.push(problem),
                },
                Err(problem) => problems.push(problem),
            }
        }
        if !missing.is_empty() {
            problems.insert(0, lacking(&missing, &contents));
        }
        if !problems.is_empty() {
            return Err(wrong(problems.join("; ")));
        }
        if let Some(slices) = &self.borrowed {
            for ((name, _), slice) in self.tensors().zip(slices) {
                slice.check_usage("weights", name, Usage::CopyDst)?;
            }
        }
        let mut writer = self.writer();
        for (tensor, values) in weights.iter().enumerate() {
            self.write_weights(&mut writer, tensor, values)?;
        }
        writer.finish()?;
        let moves = (0..weights.len()).any(|tensor| self.inits_with_weights(tensor));
        self.plan.state.slow_weights_moved |= moves;
        Ok(contents.names().map(str::to_owned).collect())
    }
}

/// The values of a tensor's entry.
fn converted(name: &str, entry: &Entry<'_>, shape: &[usize]) -> Result<Vec<f32>, String> {
    if entry.shape != shape {
        return Err(format!("has `{name}` in the shape {}, and it is {shape:?} here", shown(&entry.shape)));
    }
    let dtype = &entry.dtype;
    entry.converted().ok_or_else(|| format!("has `{name}` in {dtype}, and F32, F64, F16 or BF16 is due"))
}

/// What is missing, what is there instead, and whether the names differ by what wrappers put into them.
fn lacking(missing: &[&str], contents: &Contents<'_>) -> String {
    let plural = if missing.len() == 1 { "" } else { "s" };
    let (missing_names, others) = (list(missing.iter().copied()), list(contents.names()));
    let mut problem = format!("lacks the tensor{plural} {missing_names}; the other names in it: {others}");
    if contents.names().any(|name| missing.contains(&without_wrappers(name).as_str())) {
        problem += "; `load_weights_with` and `checkpoint::without_wrappers` take the names without what PyTorch's \
                    wrappers put into them";
    }
    problem
}
