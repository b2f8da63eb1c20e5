//! Gradients in the caller's buffers.

use std::collections::HashMap;

use super::training::{Gradients, Optimizer};
use crate::{
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
        let Some(weights) = &self.borrowed else {
            return Err(Error::Unsupported {
                call: "borrow_gradients",
                problem: "is for borrowed tensors; these have gradient buffers: see `gradients`",
            });
        };
        let tensors = &self.plan.layout.tensors;
        let indices: HashMap<_, _> = tensors.iter().zip(0..).map(|(tensor, i)| (&tensor.name, i)).collect();
        let mut gradients: Vec<Option<&Slice<E::Buffer>>> = vec![None; tensors.len()];
        for (name, slice) in slices {
            let index: usize = match indices.get(&name.to_string()) {
                Some(index) => *index,
                None => self.plan.layout.find(name)?,
            };
            slice.check("gradients", &tensors[index], self.plan.options.half_gradients)?;
            if gradients[index].replace(slice).is_some() {
                return Err(Error::DuplicateName { what: "tensor", name: name.to_string() });
            }
        }
        let missing: Vec<usize> = (0..tensors.len()).filter(|index| gradients[*index].is_none()).collect();
        if let Some(index) =
            missing.iter().find(|index| !self.plan.state.groups[tensors[**index].group].frozen)
        {
            return Err(Error::UnknownName {
                what: "gradient of the tensor",
                name: tensors[*index].name.clone(),
                known: list(slices.iter().map(|(name, _)| *name)),
            });
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
