//! Tensors by name: their slices of the flat buffers, and writing to them.

use super::training::Optimizer;
use crate::{
    config::precision::{Half, encode},
    engine::{Engine, Usage, slice::Slice, transfer::Source},
    error::Error,
    layout::{field::Field, tensors::Tensor},
    plan::{
        Plan,
        parts::Part,
        program::{Buffer, Id},
    },
};

impl<E: Engine> Optimizer<E> {
    /// Where a field of a tensor lies, to bind in kernels; [`Self`] has a table of what may be done with it. Where the
    /// tensor is larger than one binding, [`buffers`](Self::buffers) gives its slices.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] where there is no such tensor, or the field is not kept of it; [`Error::NoLookahead`];
    /// [`Error::Unsupported`] for gradients of borrowed tensors; [`Error::Split`] where the tensor is larger than one
    /// binding.
    pub fn buffer(&self, field: Field<'_>, tensor: &str) -> Result<Slice<E::Buffer>, Error> {
        let mut slices = self.buffers(field, tensor)?;
        match (slices.len(), slices.pop()) {
            (1, Some(slice)) => Ok(slice),
            (pieces, _) => Err(Error::Split { tensor: tensor.to_owned(), pieces }),
        }
    }

    /// [`buffer`](Self::buffer) for a tensor of any size: the slices hold its values one after the other.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer), without [`Error::Split`].
    pub fn buffers(&self, field: Field<'_>, tensor: &str) -> Result<Vec<Slice<E::Buffer>>, Error> {
        Ok(self.place(field, self.plan.layout.find(tensor)?)?.slices)
    }

    /// [`buffer`](Self::buffer) of the fast weights.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer).
    pub fn weights(&self, tensor: &str) -> Result<Slice<E::Buffer>, Error> {
        self.buffer(Field::Weights, tensor)
    }

    /// [`buffer`](Self::buffer) of the gradients, to be written. Bytes between tensors must be left as they are.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer).
    pub fn gradients(&self, tensor: &str) -> Result<Slice<E::Buffer>, Error> {
        self.buffer(Field::Gradients, tensor)
    }

    /// [`buffer`](Self::buffer) of the slow weights, for kernels that evaluate. They hold what they should from the
    /// first step on, and before it after [`upload`](Self::upload) or [`init_synced`](Self::init_synced).
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer).
    pub fn slow_weights(&self, tensor: &str) -> Result<Slice<E::Buffer>, Error> {
        self.buffer(Field::SlowWeights, tensor)
    }

    /// [`buffer`](Self::buffer) of the half-width copy of the weights. Every step writes it along with the
    /// weights, and so do [`upload`](Self::upload) and [`swap_slow`](Self::swap_slow). Of weights that no step has
    /// written yet, and that were not uploaded (borrowed ones, say), it holds zeros.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer).
    pub fn half_weights(&self, tensor: &str) -> Result<Slice<E::Buffer>, Error> {
        self.buffer(Field::HalfWeights, tensor)
    }

    /// [`buffer`](Self::buffer) of the average of the weights, for kernels that evaluate.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer).
    pub fn average(&self, tensor: &str) -> Result<Slice<E::Buffer>, Error> {
        self.buffer(Field::Average, tensor)
    }

    /// [`buffer`](Self::buffer) of the curvature of a tensor, which the caller writes for
    /// [`Curvature::Given`](crate::alpha::Curvature::Given).
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer).
    pub fn curvature(&self, tensor: &str) -> Result<Slice<E::Buffer>, Error> {
        self.buffer(Field::Curvature, tensor)
    }

    /// [`buffer`](Self::buffer) of the gradient of a mini-batch at the slow weights, f32, which the caller writes along with
    /// each gradient for [variance reduction](crate::variance_reduction). Bytes between tensors must be left as they are.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer).
    pub fn snapshot_gradients(&self, tensor: &str) -> Result<Slice<E::Buffer>, Error> {
        self.buffer(Field::SnapshotGradients, tensor)
    }

    /// [`buffer`](Self::buffer) of the gradient of the whole objective at the slow weights, f32, which the caller writes
    /// whenever [`full_gradients_due`](Self::full_gradients_due) says so. Bytes between tensors must be left as they are.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer).
    pub fn full_gradients(&self, tensor: &str) -> Result<Slice<E::Buffer>, Error> {
        self.buffer(Field::FullGradients, tensor)
    }

    /// Where a field of a tensor lies.
    pub(crate) fn place(&self, field: Field<'_>, tensor: usize) -> Result<Source<E::Buffer>, Error> {
        let options = &self.plan.options;
        let (slices, half) = match field {
            Field::Weights => (self.weights_of(tensor), None),
            Field::SlowWeights => (self.slow_weights_of(tensor)?, options.slow_half()),
            Field::Gradients => (self.gradients_of(tensor)?, options.half_gradients),
            Field::HalfWeights => (self.half_weights_of(tensor)?, options.half_weights),
            plane => (self.slices(self.plan.plane_parts(plane, tensor)?), None),
        };
        Ok(Source { slices, len: self.plan.field_len(field, tensor) as usize, half })
    }

    fn weights_of(&self, tensor: usize) -> Vec<Slice<E::Buffer>> {
        match &self.borrowed {
            Some(weights) => vec![weights[tensor].clone()],
            None => self.flat(&self.plan.weights, &self.plan.layout.tensors[tensor], None),
        }
    }

    fn half_weights_of(&self, tensor: usize) -> Result<Vec<Slice<E::Buffer>>, Error> {
        let (tensor, half) = (&self.plan.layout.tensors[tensor], self.plan.options.half_weights);
        if half.is_none() {
            return Err(Error::UnknownName {
                what: "half-width copy of",
                name: tensor.name.clone(),
                known: "none: build with `half_weights`".to_owned(),
            });
        }
        Ok(self.flat(&self.plan.half_weights, tensor, half))
    }

    fn gradients_of(&self, tensor: usize) -> Result<Vec<Slice<E::Buffer>>, Error> {
        if self.plan.is_borrowed {
            return Err(Error::Unsupported {
                call: "gradients",
                problem: "are the caller's for borrowed tensors",
            });
        }
        let half = self.plan.options.half_gradients;
        Ok(self.flat(&self.plan.gradients, &self.plan.layout.tensors[tensor], half))
    }

    fn slow_weights_of(&self, tensor: usize) -> Result<Vec<Slice<E::Buffer>>, Error> {
        let tensor = &self.plan.layout.tensors[tensor];
        if self.plan.slow.is_empty() {
            return Err(Error::NoLookahead { of: format!("the tensor `{}`", tensor.name) });
        }
        Ok(self.flat(&self.plan.slow, tensor, self.plan.options.slow_half()))
    }

    /// Writes the fast weights of a tensor, before whatever is submitted next. Before the first step the
    /// slow weights are written too; later, [`init_synced`](Self::init_synced) makes them follow, and begins an average of the
    /// weights anew, which else remembers what was there before.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`], [`Error::Length`], [`Error::Swapped`]; [`Error::Range`] where the buffer is
    /// borrowed and lacks the usage `COPY_DST`.
    pub fn upload(&mut self, tensor: &str, values: &[f32]) -> Result<(), Error> {
        let index = self.plan.layout.find(tensor)?;
        let tensor = &self.plan.layout.tensors[index];
        self.plan.check_not_swapped("upload")?;
        if values.len() as u64 != tensor.len {
            let (tensor, expected) = (tensor.name.clone(), tensor.len as usize);
            return Err(Error::Length { tensor, expected, found: values.len() });
        }
        let slices = self.weights_of(index);
        if self.plan.is_borrowed {
            slices[0].check_usage("weights", &tensor.name, Usage::CopyDst)?;
        }
        self.write(&slices, values, None)?;
        if self.inits_with_weights(index) {
            self.plan.state.slow_weights_moved = true;
            let half = self.plan.options.slow_half();
            self.write(&self.flat(&self.plan.slow, tensor, half), values, half)?;
        }
        self.write_copy(tensor, values)
    }

    /// New weights of a tensor are its slow weights, too.
    pub(crate) fn inits_with_weights(&self, tensor: usize) -> bool {
        let group = self.plan.layout.tensors[tensor].group;
        !self.plan.slow.is_empty() && (self.plan.state.steps == 0 || self.plan.state.groups[group].cycle.init)
    }

    /// Writes the half-width copy of a tensor's weights, if there is one.
    pub(crate) fn write_copy(&self, tensor: &Tensor, values: &[f32]) -> Result<(), Error> {
        if self.plan.half_weights.is_empty() {
            return Ok(());
        }
        let half = self.plan.options.half_weights;
        self.write(&self.flat(&self.plan.half_weights, tensor, half), values, half)
    }

    /// Writes values over slices, one after the other. A borrowed buffer may be mapped or destroyed.
    pub(crate) fn write(
        &self,
        slices: &[Slice<E::Buffer>],
        values: &[f32],
        half: Option<Half>,
    ) -> Result<(), Error> {
        self.engine.write(slices, &encode(values, half), "writing values")
    }

    /// A tensor's slices of flat buffers, one a piece.
    fn flat(&self, buffers: &[Id<Buffer>], tensor: &Tensor, half: Option<Half>) -> Vec<Slice<E::Buffer>> {
        self.slices(Plan::flat(buffers, tensor, half))
    }

    /// Parts of the plan's buffers as slices.
    pub(super) fn slices(&self, parts: Vec<Part>) -> Vec<Slice<E::Buffer>> {
        parts.iter().map(|part| Slice::new(self.engine.buffer(part.buffer), part.offset, part.size)).collect()
    }
}
