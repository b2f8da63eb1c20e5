//! Putting other values into a module's parameters.

use std::collections::HashMap;

use burn::{
    module::{ModuleMapper, Param, ParamId},
    tensor::{Tensor, TensorData},
};

use super::context::Context;
use crate::error::Error;

/// Gives a module with the values that `values` has for a parameter's place.
pub(super) struct Replace<'a, F> {
    places: &'a HashMap<ParamId, usize>,
    values: F,
    pub(super) problem: Option<Error>,
}

impl<'a, F> Replace<'a, F> {
    pub(super) fn new(places: &'a HashMap<ParamId, usize>, values: F) -> Self {
        Self { places, values, problem: None }
    }
}

impl<F: FnMut(usize) -> Result<Vec<f32>, Error>> ModuleMapper for Replace<'_, F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(place) = self.places.get(&param.id).filter(|_| self.problem.is_none()) else { return param };
        match (self.values)(*place) {
            Ok(values) => {
                let id = param.id;
                param.map(|old| {
                    let data = TensorData::new(values, old.shape());
                    Context::of(&old).restore(Tensor::from_data(data, &old.device().inner()), id)
                })
            }
            Err(problem) => {
                self.problem = Some(problem);
                param
            }
        }
    }
}
