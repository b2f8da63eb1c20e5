//! Files that `oracle/make.py` made.

use crate::support::{is_statistic, values};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors};
use std::collections::HashMap;

/// Named tensors, in double precision, which holds every one of them.
pub struct Reference(HashMap<String, (Vec<usize>, Vec<f64>)>);

impl Reference {
    pub fn new(bytes: &[u8]) -> Self {
        let file = SafeTensors::deserialize(bytes).expect("safetensors");
        let tensor = |name: &str| {
            let view = file.tensor(name).expect("a tensor");
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => {
                    data.as_chunks().0.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect()
                }
                Dtype::F64 => data.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect(),
                Dtype::I64 => {
                    data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f64).collect()
                }
                other => panic!("{other:?}"),
            };
            (view.shape().to_vec(), values)
        };
        Self(file.names().into_iter().map(|name| (name.to_owned(), tensor(name))).collect())
    }

    fn get(&self, name: &str) -> &(Vec<usize>, Vec<f64>) {
        self.0.get(name).unwrap_or_else(|| panic!("the reference has no `{name}`"))
    }

    pub fn losses(&self) -> &[f64] {
        &self.get("losses").1
    }

    /// One of the fixed batches, which come in turn.
    fn batch<const D: usize>(&self, name: &str, step: usize) -> ([usize; D], &[f64]) {
        let (shape, values) = self.get(&format!("batch/{name}"));
        let size = values.len() / shape[0];
        let start = step % shape[0] * size;
        (shape[1..].try_into().expect("as many dimensions"), &values[start..start + size])
    }

    pub fn floats<const D: usize>(&self, name: &str, step: usize, device: &Device) -> Tensor<D> {
        let (shape, values) = self.batch::<D>(name, step);
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    pub fn numbers<const D: usize>(&self, name: &str, step: usize, device: &Device) -> Tensor<D, Int> {
        let (shape, values) = self.batch::<D>(name, step);
        let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// The model with the initial weights; every one must be there.
    pub fn load<M: Module>(&self, model: M) -> M {
        let mut loader = Loader { reference: self, path: Vec::new(), loaded: 0 };
        let model = model.map(&mut loader);
        let initial = self.0.keys().filter(|name| name.starts_with("initial/")).count();
        assert_eq!(loader.loaded, initial, "the model has other weights than the reference");
        model
    }

    /// How far a model's weights are from the last ones, tensor by tensor: the largest difference over the largest
    /// weight. With their paths.
    pub fn distances<M: Module>(&self, model: &M) -> Vec<(String, f64)> {
        let mut comparer = Comparer { reference: self, path: Vec::new(), found: Vec::new() };
        model.visit(&mut comparer);
        comparer.found
    }
}

struct Loader<'a> {
    reference: &'a Reference,
    path: Vec<String>,
    loaded: usize,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if is_statistic(&self.path) {
            return parameter;
        }
        let (shape, values) = self.reference.get(&format!("initial/{}", self.path.join(".")));
        self.loaded += 1;
        parameter.map(|old| {
            assert_eq!(old.dims().as_slice(), shape.as_slice(), "{}", self.path.join("."));
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            let device = old.device();
            Tensor::from_data(TensorData::new(values, old.dims()), &device).require_grad()
        })
    }
}

struct Comparer<'a> {
    reference: &'a Reference,
    path: Vec<String>,
    found: Vec<(String, f64)>,
}

impl ModuleVisitor for Comparer<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if is_statistic(&self.path) {
            return;
        }
        let path = self.path.join(".");
        let (_, expected) = self.reference.get(&format!("final/{path}"));
        let found = values(parameter.val());
        let largest = expected.iter().map(|value| value.abs()).fold(0.0, f64::max);
        let distance = found.iter().zip(expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
        self.found.push((path, distance / largest));
    }
}
