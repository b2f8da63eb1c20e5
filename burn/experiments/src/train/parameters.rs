//! A module's numbers, flat.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

/// Where the numbers of a module's parameters lie when they are put one after the other.
#[derive(Debug, Default, Clone)]
pub struct Layout {
    /// The parameters that are trained, in the module's order.
    pub trained: Vec<Parameter>,
    places: HashMap<ParamId, usize>,
    /// How many numbers there are, with what fills them up.
    pub len: usize,
}

/// A parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its path in the module.
    pub path: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// The first of its numbers.
    pub start: usize,
    /// How many there are.
    pub len: usize,
}

/// Each parameter begins at a multiple of so many numbers: wgpu binds at multiples of 256 bytes.
const ALIGNMENT: usize = 64;

impl Layout {
    /// Of the parameters that require gradients.
    pub fn of<M: Module>(module: &M) -> Self {
        let mut collect = Collect { path: vec![], layout: Self::default() };
        module.visit(&mut collect);
        collect.layout
    }

    /// Where a parameter lies.
    pub fn find(&self, id: ParamId) -> Option<&Parameter> {
        self.places.get(&id).map(|&place| &self.trained[place])
    }

    /// A module with these numbers in its trained parameters.
    pub fn put<M: Module>(&self, module: M, numbers: &[f32]) -> M {
        module.map(&mut Put { layout: self, numbers })
    }

    /// A module's numbers.
    pub fn take<M: Module>(&self, module: &M) -> Vec<f32> {
        let mut take = Take { layout: self, numbers: vec![0.0; self.len] };
        module.visit(&mut take);
        take.numbers
    }
}

struct Collect {
    path: Vec<String>,
    layout: Layout,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let (shape, layout) = (param.dims().to_vec(), &mut self.layout);
        let (start, len) = (layout.len, shape.iter().product::<usize>());
        layout.places.insert(param.id, layout.trained.len());
        layout.trained.push(Parameter { path: self.path.join("."), shape, start, len });
        layout.len = (start + len).next_multiple_of(ALIGNMENT);
    }
}

struct Put<'a> {
    layout: &'a Layout,
    numbers: &'a [f32],
}

impl ModuleMapper for Put<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(&Parameter { start, len, .. }) = self.layout.find(param.id) else { return param };
        let numbers = self.numbers[start..start + len].to_vec();
        param.map(|old| {
            let new = Tensor::from_data(TensorData::new(numbers, old.shape()), &old.device());
            if old.is_require_grad() { new.require_grad() } else { new }
        })
    }
}

struct Take<'a> {
    layout: &'a Layout,
    numbers: Vec<f32>,
}

impl ModuleVisitor for Take<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(&Parameter { start, len, .. }) = self.layout.find(param.id) else { return };
        let place = &mut self.numbers[start..start + len];
        for (place, value) in place.iter_mut().zip(param.val().into_data().iter::<f32>()) {
            *place = value;
        }
    }
}

/// The numbers of a module that are not trained, as running means are.
pub fn untrained<M: Module>(module: &M) -> Vec<TensorData> {
    settle(module);
    let mut visitor = Untrained(vec![]);
    module.visit(&mut visitor);
    visitor.0
}

/// A module with these numbers where it is not trained; none where they do not fit.
pub fn with_untrained<M: Module>(module: M, numbers: Vec<TensorData>) -> Option<M> {
    settle(&module);
    let mut mapper = PutUntrained { numbers: numbers.into_iter(), fits: true };
    let module = module.map(&mut mapper);
    (mapper.fits && mapper.numbers.next().is_none()).then_some(module)
}

/// Burn holds the last update of a running mean back, and neither shows it to visitors nor forgets it when another value
/// is put in its place, until it is asked for the module without gradients.
fn settle<M: Module>(module: &M) {
    drop(module.valid());
}

struct Untrained(Vec<TensorData>);

impl ModuleVisitor for Untrained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            self.0.push(param.val().into_data());
        }
    }
}

struct PutUntrained {
    numbers: std::vec::IntoIter<TensorData>,
    fits: bool,
}

impl ModuleMapper for PutUntrained {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.is_require_grad() {
            return param;
        }
        match self.numbers.next() {
            Some(numbers) if *numbers.shape() == param.shape() => {
                param.map(|old| Tensor::from_data(numbers, &old.device()))
            }
            _ => {
                self.fits = false;
                param
            }
        }
    }
}
