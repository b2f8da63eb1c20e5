//! Finding the parameters of a module.

use burn::{
    module::{ModuleVisitor, Param, ParamId},
    tensor::{Device, Tensor},
};
use burn_cubecl::tensor::CubeTensor;

use super::{
    check::{check, problem},
    memory,
};
use crate::error::Error;

/// A parameter that is trained.
pub(super) struct Parameter {
    pub(super) id: ParamId,
    pub(super) path: String,
    pub(super) shape: Vec<usize>,
    pub(super) weights: CubeTensor,
}

/// Collects the parameters that require gradients.
#[derive(Default)]
pub(super) struct Collect {
    path: Vec<String>,
    pub(super) device: Option<Device>,
    pub(super) found: Vec<Parameter>,
    pub(super) problem: Option<Error>,
}

impl Collect {
    fn collect<const D: usize>(&mut self, id: ParamId, values: Tensor<D>) -> Result<(), Error> {
        if self.found.iter().any(|other| other.id == id) {
            return Err(problem(
                &self.path,
                "is there twice in the module: tied parameters are not supported",
            ));
        }
        let device = self.device.get_or_insert_with(|| values.device());
        check(&self.path, "weights", &values, device)?;
        let shape = values.dims().to_vec();
        let weights = memory::contiguous(values)?;
        self.found.push(Parameter { id, path: self.path.join("."), shape, weights });
        Ok(())
    }
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.problem.is_none() && param.is_require_grad() {
            self.problem = self.collect(param.id, param.val().inner()).err();
        }
    }
}
