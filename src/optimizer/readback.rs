//! What can be read back to the host, and where it lies.

use super::training::Optimizer;
use crate::{
    config::precision::decode,
    engine::{
        Engine, Usage,
        slice::Slice,
        transfer::{Source, copy_back, read},
    },
    error::Error,
    layout::field::Field,
};

impl<E: Engine> Optimizer<E> {
    /// A tensor's values, as they are when everything submitted before this call is done: the copy is begun by the
    /// call, so that the optimizer is free while the values are under way.
    ///
    /// The future needs nobody to poll the device, and ends under any executor: natively a thread, which all futures
    /// of an optimizer share, polls it while they wait.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`], [`Error::NoLookahead`], [`Error::Unsupported`], [`Error::Swapped`],
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub fn download(
        &self,
        field: Field<'_>,
        tensor: &str,
    ) -> impl Future<Output = Result<Vec<f32>, Error>> + use<E> {
        let source = self.plan.layout.find(tensor).and_then(|index| self.source(field, index));
        let reading = source
            .map(|Source { slices, len, half }| (copy_back(&self.engine, slices.into_iter()), len, half));
        async move {
            let (reading, len, half) = reading?;
            Ok(decode(&reading.await?, len, half))
        }
    }

    /// [`Self::download`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::download`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download_blocking(&self, field: Field<'_>, tensor: &str) -> Result<Vec<f32>, Error> {
        pollster::block_on(self.download(field, tensor))
    }

    /// One field of every tensor, in the order of [`tensors`](Self::tensors), by one submit and with one wait for each
    /// 64 MiB, however many there are: as they are once all that was submitted is done.
    ///
    /// # Errors
    ///
    /// As [`Self::download`].
    pub async fn download_all(&self, field: Field<'_>) -> Result<Vec<Vec<f32>>, Error> {
        let sources = (0..self.plan.layout.tensors.len()).map(|tensor| self.source(field, tensor));
        read(&self.engine, sources.collect::<Result<_, _>>()?).await
    }

    /// [`Self::download_all`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::download`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download_all_blocking(&self, field: Field<'_>) -> Result<Vec<Vec<f32>>, Error> {
        pollster::block_on(self.download_all(field))
    }

    /// Where a field of a tensor is to be read now, to copy it on the device: [`buffers`](Self::buffers), or the weights as
    /// long as slow weights and average have yet to begin there, as in a group that has always been frozen. The slices hold
    /// its values one after the other.
    ///
    /// # Errors
    ///
    /// As [`download`](Self::download), and [`Error::Range`] where borrowed weights lack the usage `COPY_SRC`.
    pub fn readable(&self, field: Field<'_>, tensor: &str) -> Result<Vec<Slice<E::Buffer>>, Error> {
        Ok(self.source(field, self.plan.layout.find(tensor)?)?.slices)
    }

    /// Where everything lies that a step may change of a tensor: weights, slow weights, half-width copy, state. What is
    /// copied from there before a step and back after it leaves the tensor as if it had taken no part; the counts of its
    /// group go on.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`], and [`Error::Range`] where borrowed weights lack the usages `COPY_SRC` and `COPY_DST`.
    pub fn kept(&self, tensor: &str) -> Result<Vec<Slice<E::Buffer>>, Error> {
        let index = self.plan.layout.find(tensor)?;
        let group = &self.plan.state.groups[self.plan.layout.tensors[index].group];
        let mut fields = vec![Field::Weights];
        fields.extend(group.lookahead.map(|_| Field::SlowWeights));
        fields.extend(self.plan.options.half_weights.map(|_| Field::HalfWeights));
        fields.extend(group.planes.fields());
        fields.extend(self.plan.moment_fields(index));
        let mut slices = Vec::new();
        for field in fields {
            slices.extend(self.place(field, index)?.slices);
        }
        for slice in &slices {
            slice.check_usage("values", tensor, Usage::CopySrc)?;
            slice.check_usage("values", tensor, Usage::CopyDst)?;
        }
        Ok(slices)
    }

    /// Where a field of a tensor is to be read now.
    pub(crate) fn source(&self, field: Field<'_>, tensor: usize) -> Result<Source<E::Buffer>, Error> {
        let group = self.plan.layout.tensors[tensor].group;
        if matches!(field, Field::Weights | Field::SlowWeights | Field::Average) {
            self.plan.check_not_swapped("download")?;
        }
        let source = self.place(field, tensor)?;
        // The next step initialises the slow weights, and the first one begins the average.
        let stand_in = match field {
            Field::SlowWeights => self.plan.state.groups[group].cycle.init,
            Field::Average => self.plan.state.steps == 0,
            _ => false,
        };
        let source = if stand_in { self.place(Field::Weights, tensor)? } else { source };
        for slice in &source.slices {
            slice.check_usage("values", &self.plan.layout.tensors[tensor].name, Usage::CopySrc)?;
        }
        Ok(source)
    }
}
