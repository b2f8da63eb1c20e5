//! Taking the memory of a module's parameters, for it to be written.

use std::collections::HashMap;

use burn::{
    module::{ModuleMapper, Param, ParamId},
    optim::GradientsParams,
    tensor::{Device, Tensor},
};
use burn_cubecl::tensor::CubeTensor;

use super::{
    check::{check, problem},
    context::Context,
    memory,
};
use crate::error::Error;

/// Gives a module whose parameters lie in memory of their own, and that memory. With a problem the module is of no use.
pub(super) struct Take<'a> {
    device: &'a Device,
    /// Where in `weights` and `gradients` a parameter comes.
    places: &'a HashMap<ParamId, usize>,
    given: GradientsParams,
    /// Whether all are to be copied.
    copy: bool,
    path: Vec<String>,
    pub(super) weights: Vec<Option<CubeTensor>>,
    pub(super) gradients: Vec<Option<CubeTensor>>,
    /// How many parameters had to be copied.
    pub(super) copied: usize,
    pub(super) problem: Option<Error>,
}

impl<'a> Take<'a> {
    pub(super) fn new(
        device: &'a Device,
        places: &'a HashMap<ParamId, usize>,
        given: GradientsParams,
        copy: bool,
    ) -> Self {
        let none = || places.iter().map(|_| None).collect();
        let (weights, gradients) = (none(), none());
        Self { device, places, given, copy, path: vec![], weights, gradients, copied: 0, problem: None }
    }

    fn take<const D: usize>(
        &mut self,
        place: usize,
        values: Tensor<D>,
        gradient: Option<Tensor<D>>,
    ) -> Result<Tensor<D>, Error> {
        check(&self.path, "weights", &values, self.device)?;
        if let Some(gradient) = gradient {
            check(&self.path, "a gradient", &gradient, self.device)?;
            self.gradients[place] = Some(memory::contiguous(gradient)?);
        }
        let (weights, is_copy) = memory::unique(values, self.copy)?;
        self.copied += usize::from(is_copy);
        self.weights[place] = Some(weights.clone());
        Ok(memory::tensor(weights))
    }
}

impl ModuleMapper for Take<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.problem.is_some() {
            return param;
        }
        let gradient = self.given.remove::<D>(param.id);
        let Some(place) = self.places.get(&param.id).copied() else {
            let untrained = "has a gradient, and required none when the optimizer was made: make another one";
            self.problem = gradient.map(|_| problem(&self.path, untrained));
            return param;
        };
        let (id, values, mapper) = param.consume();
        let context = Context::of(&values);
        let (shape, device) = (values.shape(), values.device().inner());
        let values = self.take(place, values.inner(), gradient).unwrap_or_else(|problem| {
            self.problem = Some(problem);
            Tensor::empty(shape, &device)
        });
        Param::from_mapped_value(id, context.restore(values, id), mapper)
    }
}
