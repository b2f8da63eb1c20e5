//! Putting other values into a module's parameters.

use std::collections::HashMap;

use burn::{
    module::{ModuleMapper, Param, ParamId},
    tensor::{Tensor, TensorData},
};
use burn_cubecl::tensor::CubeTensor;
use lookahead_wgpu::Slice;

use super::{check::problem, context::Context, memory};
use crate::error::Error;

/// What a parameter's values become.
pub(super) enum Values {
    /// What they are.
    Kept,
    /// What lies there, in f32.
    At(Vec<Slice>),
    /// What the host has read.
    Given(Vec<f32>),
}

/// Gives a module with the values that there are for a parameter's place.
pub(super) struct Replace<'a> {
    places: &'a HashMap<ParamId, usize>,
    values: Vec<Values>,
    path: Vec<String>,
    /// What is to be copied then, and to where.
    pub(super) copies: Vec<(Vec<Slice>, CubeTensor)>,
    pub(super) problem: Option<Error>,
}

impl<'a> Replace<'a> {
    pub(super) fn new(places: &'a HashMap<ParamId, usize>, values: Vec<Values>) -> Self {
        Self { places, values, path: vec![], copies: vec![], problem: None }
    }

    fn replace<const D: usize>(&mut self, place: usize, old: &Tensor<D>) -> Result<Option<Tensor<D>>, Error> {
        let (shape, device) = (old.shape(), old.device().inner());
        let check = |len: u64| {
            let other = || problem(&self.path, "has another shape than when the optimizer was made");
            if len == shape.num_elements() as u64 { Ok(()) } else { Err(other()) }
        };
        match std::mem::replace(&mut self.values[place], Values::Kept) {
            Values::Kept => Ok(None),
            Values::At(slices) => {
                check(slices.iter().map(|slice| slice.size).sum::<u64>() / 4)?;
                let memory = memory::contiguous(Tensor::<D>::empty(shape, &device))?;
                self.copies.push((slices, memory.clone()));
                Ok(Some(memory::tensor(memory)))
            }
            Values::Given(values) => {
                check(values.len() as u64)?;
                Ok(Some(Tensor::from_data(TensorData::new(values, shape), &device)))
            }
        }
    }
}

impl ModuleMapper for Replace<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(place) = self.places.get(&param.id).filter(|_| self.problem.is_none()) else { return param };
        match self.replace(*place, &param.val()) {
            Ok(None) => param,
            Ok(Some(values)) => {
                let id = param.id;
                param.map(|old| Context::of(&old).restore(values, id))
            }
            Err(problem) => {
                self.problem = Some(problem);
                param
            }
        }
    }
}
