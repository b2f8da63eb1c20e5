//! Tensors by name: their slices of the flat buffers, and writing to them.

use futures::FutureExt;

use crate::{
    access::Slice,
    config::precision::{Half, bytes, encode},
    error::Error,
    gpu,
    layout::Tensor,
    optimizer::Optimizer,
    readback::Field,
};

impl Optimizer {
    /// Fast weights of a tensor, to bind in kernels.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`]; [`Error::Split`] where the tensor is larger than one binding.
    pub fn weights(&self, tensor: &str) -> Result<Slice, Error> {
        one(tensor, self.weights_slices(tensor)?)
    }

    /// Where the gradients of a tensor are to be written. Bytes between tensors must be left as they are.
    ///
    /// # Errors
    ///
    /// As [`Self::weights`], and [`Error::Ownership`] where tensors are borrowed.
    pub fn gradients(&self, tensor: &str) -> Result<Slice, Error> {
        one(tensor, self.gradients_slices(tensor)?)
    }

    /// Slow weights of a tensor, to bind in kernels that evaluate. They hold what they should from the
    /// first step on, and before it after [`upload`](Self::upload) or [`reseed`](Self::reseed).
    ///
    /// # Errors
    ///
    /// As [`Self::weights`], and [`Error::NoLookahead`].
    pub fn slow_weights(&self, tensor: &str) -> Result<Slice, Error> {
        one(tensor, self.slow_weights_slices(tensor)?)
    }

    /// The half-width copy of a tensor's weights, to bind in kernels. Every step writes it along with the
    /// weights, and so do [`upload`](Self::upload) and [`swap_slow`](Self::swap_slow). Of weights that no step has
    /// written yet, and that were not uploaded (borrowed ones, say), it holds zeros.
    ///
    /// # Errors
    ///
    /// As [`Self::weights`], and [`Error::UnknownName`] where no copy is kept.
    pub fn half_weights(&self, tensor: &str) -> Result<Slice, Error> {
        let found = self.layout.find(tensor)?;
        if self.half_weights.is_empty() {
            return Err(Error::UnknownName {
                what: "half-width copy of",
                name: tensor.to_owned(),
                known: "none: build with `half_weights`".to_owned(),
            });
        }
        one(tensor, self.half_weights_of(found))
    }

    /// The average of a tensor's weights, to bind in kernels that evaluate.
    ///
    /// # Errors
    ///
    /// As [`Self::weights`], and [`Error::UnknownName`] where no average is kept.
    pub fn average(&self, tensor: &str) -> Result<Slice, Error> {
        one(tensor, self.plane_slices(Field::Average, self.layout.find(tensor)?)?)
    }

    /// Where the caller writes the curvature of a tensor, for
    /// [`Curvature::Given`](crate::alpha::Curvature::Given).
    ///
    /// # Errors
    ///
    /// As [`Self::weights`], and [`Error::UnknownName`] where the curvature is not the caller's.
    pub fn curvature(&self, tensor: &str) -> Result<Slice, Error> {
        one(tensor, self.plane_slices(Field::Curvature, self.layout.find(tensor)?)?)
    }

    /// Fast weights of a tensor of any size: the slices hold its values one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn weights_slices(&self, tensor: &str) -> Result<Vec<Slice>, Error> {
        Ok(self.weights_of(self.layout.find(tensor)?))
    }

    pub(crate) fn weights_of(&self, tensor: usize) -> Vec<Slice> {
        match &self.borrowed {
            Some(weights) => vec![weights[tensor].clone()],
            None => flat(&self.weights, &self.layout.tensors[tensor], None),
        }
    }

    /// The half-width copy of a tensor's weights, which there must be.
    pub(crate) fn half_weights_of(&self, tensor: usize) -> Vec<Slice> {
        flat(&self.half_weights, &self.layout.tensors[tensor], self.options.half_weights)
    }

    /// Gradients of a tensor of any size.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`], [`Error::Ownership`].
    pub fn gradients_slices(&self, tensor: &str) -> Result<Vec<Slice>, Error> {
        self.gradients_of(self.layout.find(tensor)?)
    }

    pub(crate) fn gradients_of(&self, tensor: usize) -> Result<Vec<Slice>, Error> {
        if self.borrowed.is_some() {
            return Err(Error::Ownership {
                call: "gradients",
                problem: "are the caller's for borrowed tensors",
            });
        }
        Ok(flat(&self.gradients, &self.layout.tensors[tensor], self.options.half_gradients))
    }

    /// Slow weights of a tensor of any size.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`], [`Error::NoLookahead`].
    pub fn slow_weights_slices(&self, tensor: &str) -> Result<Vec<Slice>, Error> {
        self.slow_weights_of(self.layout.find(tensor)?)
    }

    pub(crate) fn slow_weights_of(&self, tensor: usize) -> Result<Vec<Slice>, Error> {
        let tensor = &self.layout.tensors[tensor];
        if self.slow.is_empty() {
            return Err(Error::NoLookahead { of: format!("the tensor `{}`", tensor.name) });
        }
        Ok(flat(&self.slow, tensor, self.options.slow_half()))
    }

    /// Writes the fast weights of a tensor, before whatever is submitted next. Before the first step the
    /// slow weights are written too; later, [`reseed`](Self::reseed) makes them follow, and begins an average of the
    /// weights anew, which else remembers what was there before.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`], [`Error::Length`], [`Error::Swapped`]; [`Error::Range`] where the buffer is
    /// borrowed and lacks the usage `COPY_DST`.
    pub fn upload(&mut self, tensor: &str, values: &[f32]) -> Result<(), Error> {
        let index = self.layout.find(tensor)?;
        let tensor = &self.layout.tensors[index];
        self.check_not_swapped("upload")?;
        if values.len() as u64 != tensor.len {
            let (tensor, expected) = (tensor.name.clone(), tensor.len as usize);
            return Err(Error::Length { tensor, expected, found: values.len() });
        }
        let slices = self.weights_slices(&tensor.name)?;
        if self.borrowed.is_some() {
            slices[0].check_usage("weights", &tensor.name, wgpu::BufferUsages::COPY_DST)?;
        }
        self.write(&slices, values, None)?;
        if self.seeds_with_weights(index) {
            let half = self.options.slow_half();
            self.write(&flat(&self.slow, tensor, half), values, half)?;
        }
        self.write_copy(tensor, values)
    }

    /// New weights of a tensor are its slow weights, too.
    pub(crate) fn seeds_with_weights(&self, tensor: usize) -> bool {
        let group = self.layout.tensors[tensor].group;
        !self.slow.is_empty() && (self.steps == 0 || self.groups[group].clock.seed)
    }

    /// Writes the half-width copy of a tensor's weights, if there is one.
    pub(crate) fn write_copy(&self, tensor: &Tensor, values: &[f32]) -> Result<(), Error> {
        if self.half_weights.is_empty() {
            return Ok(());
        }
        let half = self.options.half_weights;
        self.write(&flat(&self.half_weights, tensor, half), values, half)
    }

    /// Writes values over slices, one after the other. A borrowed buffer may be mapped or destroyed.
    pub(crate) fn write(&self, slices: &[Slice], values: &[f32], half: Option<Half>) -> Result<(), Error> {
        let all = encode(values, half);
        let mut rest = all.as_slice();
        let ((), problem) = gpu::scoped(&self.device, || {
            for slice in slices {
                let (head, tail) = rest.split_at((slice.size as usize).min(rest.len()));
                self.queue.write_buffer(&slice.buffer, slice.offset, head);
                rest = tail;
            }
        });
        // Off the web the answer is there at once; on the web a failure shows in the console.
        match problem.now_or_never() {
            Some(Some(problem)) => Err(gpu::error(&self.device, &problem, "writing values")),
            _ => Ok(()),
        }
    }
}

/// A tensor's slices of flat buffers, one a piece.
fn flat(buffers: &[wgpu::Buffer], tensor: &Tensor, half: Option<Half>) -> Vec<Slice> {
    let slice = |piece: &crate::layout::Piece| {
        Slice::new(&buffers[piece.chunk], bytes(piece.offset, half), bytes(piece.len(), half))
    };
    tensor.pieces.iter().map(slice).collect()
}

fn one(tensor: &str, mut slices: Vec<Slice>) -> Result<Slice, Error> {
    match (slices.len(), slices.pop()) {
        (1, Some(slice)) => Ok(slice),
        (pieces, _) => Err(Error::Split { tensor: tensor.to_owned(), pieces }),
    }
}
