//! Weights and gradients in the caller's buffers.

use std::{collections::HashMap, sync::Arc};

use super::training::{Gradients, Optimizer, next_id};
use crate::{
    config::precision::Half,
    engine::{
        Buffer, Engine,
        slice::{Slice, check_disjoint},
    },
    error::{Error, list},
    layout::tensors::Tensor,
    plan::placement::Place,
};

/// Slices as a plan knows them, by the number of their buffer in `buffers`, which takes those that it has not.
pub(super) fn places<B: Buffer>(slices: &[Slice<B>], buffers: &mut Vec<B>) -> Vec<Place> {
    let mut known: HashMap<B, usize> = buffers.iter().cloned().zip(0..).collect();
    let place = |slice: &Slice<B>| {
        let buffer = *known.entry(slice.buffer.clone()).or_insert_with(|| {
            buffers.push(slice.buffer.clone());
            buffers.len() - 1
        });
        Place { buffer, offset: slice.offset, size: slice.size, whole: slice.buffer.bytes() }
    };
    slices.iter().map(place).collect()
}

impl<E: Engine> Optimizer<E> {
    /// Tells that the weights of borrowed tensors lie elsewhere from now on: one slice for each tensor, by name, in any order.
    /// What is in them are the weights; slow weights, state and a half-width copy stay as they are until the next step. Gradients
    /// are to be borrowed anew afterwards.
    ///
    /// # Errors
    ///
    /// As [`borrow_gradients`](Self::borrow_gradients), and [`Error::Swapped`] while slow weights or average are in the
    /// weights' place. Nothing has changed then.
    pub async fn borrow_weights(&mut self, slices: &[(&str, Slice<E::Buffer>)]) -> Result<(), Error> {
        self.plan.check_not_swapped("borrow_weights")?;
        self.check_borrowed("borrow_weights")?;
        let weights = self.by_tensor("weights", None, slices)?;
        let missing = weights.iter().position(Option::is_none);
        if let Some(index) = missing {
            return Err(self.lacks("weights", index, slices));
        }
        let weights: Vec<_> = weights.into_iter().flatten().cloned().collect();
        let names = self.plan.layout.tensors.iter().map(|tensor| format!("weights of `{}`", tensor.name));
        check_disjoint(names.zip(&weights).collect())?;
        let mut buffers = Vec::new();
        let placement = self.plan.weights_placement(&places(&weights, &mut buffers))?;
        let program = &self.plan.program;
        let placed = self.engine.place(program, &placement, &buffers, "the weights' bind groups").await?;
        self.id = next_id();
        self.own = Arc::new(Gradients::new(self.id, vec![], placement, placed));
        self.borrowed = Some(weights);
        Ok(())
    }

    /// [`Self::borrow_weights`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::borrow_weights`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn borrow_weights_blocking(&mut self, slices: &[(&str, Slice<E::Buffer>)]) -> Result<(), Error> {
        pollster::block_on(self.borrow_weights(slices))
    }

    fn check_borrowed(&self, call: &'static str) -> Result<&[Slice<E::Buffer>], Error> {
        self.borrowed.as_deref().ok_or(Error::Unsupported {
            call,
            problem: "is for borrowed tensors; these have buffers of the optimizer's: see `weights` and `gradients`",
        })
    }

    /// The slices in the order of the tensors, none where there is none.
    fn by_tensor<'a>(
        &self,
        role: &'static str,
        half: Option<Half>,
        slices: &'a [(&str, Slice<E::Buffer>)],
    ) -> Result<Vec<Option<&'a Slice<E::Buffer>>>, Error> {
        let tensors = &self.plan.layout.tensors;
        let indices: HashMap<_, _> =
            tensors.iter().zip(0..).map(|(tensor, i)| (tensor.name.as_str(), i)).collect();
        let mut found = vec![None; tensors.len()];
        for (name, slice) in slices {
            let index: usize = match indices.get(name) {
                Some(index) => *index,
                None => self.plan.layout.find(name)?,
            };
            slice.check(role, &tensors[index], half)?;
            if found[index].replace(slice).is_some() {
                return Err(Error::DuplicateName { what: "tensor", name: name.to_string() });
            }
        }
        Ok(found)
    }

    /// That a tensor is not among these.
    fn lacks(&self, role: &str, tensor: usize, slices: &[(&str, Slice<E::Buffer>)]) -> Error {
        Error::UnknownName {
            what: if role == "weights" { "weights of the tensor" } else { "gradient of the tensor" },
            name: self.plan.layout.tensors[tensor].name.clone(),
            known: list(slices.iter().map(|(name, _)| *name)),
        }
    }

    /// Tells where the gradients of borrowed tensors lie: one slice for each tensor, by name, in any order. Tensors of
    /// groups that are frozen now may be left out, since their gradients are never read; once such a group is let
    /// go, [`step_with`](Self::step_with) needs gradients that were borrowed with its slices. Making one costs bind
    /// groups and small tables ([`memory`](Self::memory) counts them); keep and reuse it where the buffers stay.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`], [`Error::DuplicateName`], [`Error::Range`], [`Error::Overlap`],
    /// [`Error::Unsupported`] where tensors are the optimizer's own.
    pub async fn borrow_gradients(&self, slices: &[(&str, Slice<E::Buffer>)]) -> Result<Gradients<E>, Error> {
        let weights = self.check_borrowed("borrow_gradients")?;
        let tensors = &self.plan.layout.tensors;
        let gradients = self.by_tensor("gradients", self.plan.options.half_gradients, slices)?;
        let missing: Vec<usize> = (0..tensors.len()).filter(|index| gradients[*index].is_none()).collect();
        let is_frozen = |index: &&usize| self.plan.state.groups[tensors[**index].group].frozen;
        if let Some(index) = missing.iter().find(|index| !is_frozen(index)) {
            return Err(self.lacks("gradients", *index, slices));
        }
        let name = |role: &str, tensor: &Tensor| format!("{role} of `{}`", tensor.name);
        let ranges = tensors.iter().zip(weights).map(|(tensor, slice)| (name("weights", tensor), slice));
        let given = tensors.iter().zip(&gradients);
        let given = given.filter_map(|(tensor, slice)| Some((name("gradients", tensor), (*slice)?)));
        check_disjoint(ranges.chain(given).collect())?;
        // A frozen group's dispatches read no gradients: the weights stand in for those that are missing.
        let stand_in = gradients.iter().zip(weights).map(|(slice, weights)| slice.unwrap_or(weights));
        let gradients: Vec<Slice<E::Buffer>> = stand_in.cloned().collect();
        let mut buffers = Vec::new();
        let weights = places(weights, &mut buffers);
        let gradients = places(&gradients, &mut buffers);
        let placement = self.plan.borrowed_placement(&weights, &gradients)?;
        let placed =
            self.engine.place(&self.plan.program, &placement, &buffers, "the gradients' bind groups").await?;
        Ok(Gradients::new(self.id, missing, placement, placed))
    }

    /// [`Self::borrow_gradients`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::borrow_gradients`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn borrow_gradients_blocking(
        &self,
        slices: &[(&str, Slice<E::Buffer>)],
    ) -> Result<Gradients<E>, Error> {
        pollster::block_on(self.borrow_gradients(slices))
    }
}
