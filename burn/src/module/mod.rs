//! Lookahead over a whole module, with the kernels of `lookahead-wgpu` in Burn's own memory.

#[cfg(not(target_arch = "wasm32"))]
mod blocking;
mod check;
mod collect;
mod context;
mod idle;
mod memory;
mod replace;
mod take;

use std::collections::HashMap;

use burn::{
    module::{Module, ParamId},
    optim::GradientsParams,
    tensor::{Device, wgpu::WgpuSetup},
};
use lookahead_wgpu::{Builder, DEFAULT_GROUP, Field, Gradients, Optimizer, Slice, Snapshot, wgpu};

use crate::error::Error;
use collect::Collect;
use idle::{Aside, Zeros};
use memory::Held;
use replace::{Replace, Values};
use take::Take;

/// How many placements of gradients are remembered: Burn's memory pools come back to a few.
const REMEMBERED: usize = 4;

/// Lookahead over a whole module on Burn's wgpu, with the kernels of [`lookahead_wgpu`], which read gradients and write
/// weights where Burn has them. Every rule and option of that crate's [`Builder`] goes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use burn::{nn::LinearConfig, optim::GradientsParams, tensor::{Device, Distribution, Tensor}};
/// use lookahead_burn::ModuleLookahead;
/// use lookahead_wgpu::{Clip, Lookahead, Optimizer, rules::Adam};
///
/// // Before the first tensor: Burn gives away the queue of a device when it makes it, and never again.
/// let (device, setup) = Device::wgpu_options().init_with_setup()?;
/// let device = device.autodiff();
/// let mut module = LinearConfig::new(4, 2).init(&device);
/// let settings = Optimizer::builder(Adam::new(1e-3)).lookahead(Lookahead::new(5, 0.5)).clip(Clip::GlobalNorm(1.0));
/// let mut optimizer = ModuleLookahead::new(settings, &module, &setup)?;
/// for _ in 0..10 {
///     let inputs = Tensor::<2>::random([8, 4], Distribution::Default, &device);
///     let loss = module.forward(inputs).square().mean();
///     let gradients = GradientsParams::from_grads(loss.backward(), &module);
///     module = optimizer.step(module, gradients)?;
/// }
/// let evaluated = optimizer.slow(&module)?;
/// # let _ = evaluated;
/// # Ok(())
/// # }
/// ```
///
/// - It trains the float parameters that require gradients when it is made. One without a gradient is left alone by the step,
///   with its state, and by the sync if the step has one; only its group's count of steps goes on. What would change is
///   copied aside and back. With micro-batches each must have a gradient, unless its group is
///   [frozen](lookahead_wgpu::Optimizer::set_frozen).
/// - Burn's tensors are values. A parameter that is also used elsewhere, as in a clone of the module, is copied first, so
///   that the other keeps its weights; all others are written in place.
/// - Tensors are named by their paths in the module, as in `encoder.0.weight`, in groups, errors and checkpoints.
/// - A call that fails does not give the module back: keep a clone where you go on after that.
/// - Weights and gradients are f32 and on one device; tied parameters are refused.
/// - In Burn's `Learner` the model's `TrainStep::optimize` can call it; the learner's own optimizer goes unused then, and the
///   learner's clone of the model makes each step copy the weights.
pub struct ModuleLookahead {
    optimizer: Optimizer,
    setup: WgpuSetup,
    device: Device,
    paths: Vec<String>,
    /// Each parameter's group.
    groups: Vec<String>,
    /// How many values each parameter has.
    lens: Vec<usize>,
    places: HashMap<ParamId, usize>,
    /// The weights of the last module that was given, which the optimizer may be asked for until the next.
    held: Vec<Held>,
    /// Where the optimizer has borrowed weights, and gradients over them.
    weights: Vec<Slice>,
    gradients: Vec<(Vec<Option<Slice>>, Gradients)>,
    zeros: Zeros,
    copied: usize,
    dispatches: usize,
    /// Whether weights have been moved into Burn's pools.
    is_pooled: bool,
}

impl std::fmt::Debug for ModuleLookahead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleLookahead").field("optimizer", &self.optimizer).finish_non_exhaustive()
    }
}

impl ModuleLookahead {
    /// Over the parameters of a module, all in one group.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`], [`Error::Burn`], and what [`Builder::build`] gives: [`lookahead_wgpu::Error::Device`] where the
    /// setup is of another device than the module's.
    pub async fn new_async<M: Module>(
        builder: Builder,
        module: &M,
        setup: &WgpuSetup,
    ) -> Result<Self, Error> {
        Self::in_groups_async(builder, module, setup, |_| DEFAULT_GROUP.to_owned()).await
    }

    /// Over the parameters of a module, each in the group that `group_of` gives for its path. Groups are the builder's.
    ///
    /// # Errors
    ///
    /// As [`new_async`](Self::new_async).
    pub async fn in_groups_async<M: Module>(
        builder: Builder,
        module: &M,
        setup: &WgpuSetup,
        group_of: impl Fn(&str) -> String,
    ) -> Result<Self, Error> {
        let mut collect = Collect::default();
        module.visit(&mut collect);
        let Collect { found, device, problem, .. } = collect;
        problem.map_or(Ok(()), Err)?;
        let memory: Vec<_> = found.iter().map(|parameter| parameter.weights.clone()).collect();
        let held = memory::hold(&memory)?;
        let weights: Vec<_> = held.iter().map(Held::slice).collect();
        let builder = found.iter().zip(&weights).fold(builder, |builder, (parameter, slice)| {
            let path = &parameter.path;
            builder.borrowed_in(&group_of(path), path, &parameter.shape, slice.clone())
        });
        let optimizer = builder.build(&setup.device, &setup.queue).await?;
        let places = found.iter().zip(0..).map(|(parameter, place)| (parameter.id, place)).collect();
        let lens = found.iter().map(|parameter| parameter.shape.iter().product()).collect();
        let groups = found.iter().map(|parameter| group_of(&parameter.path)).collect();
        let paths = found.into_iter().map(|parameter| parameter.path).collect();
        Ok(Self {
            optimizer,
            setup: setup.clone(),
            // An optimizer of no tensors is not built.
            device: device.unwrap_or_default(),
            paths,
            groups,
            lens,
            places,
            held,
            weights,
            gradients: vec![],
            zeros: Zeros::default(),
            copied: 0,
            dispatches: 0,
            is_pooled: false,
        })
    }

    /// One step with these gradients, with the sync in it where a cycle ends.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] for parameters that are not as they were, [`lookahead_wgpu::Error::UnknownName`] for one without
    /// a gradient among micro-batches, [`Error::Burn`], and what [`Optimizer::step_with`] gives.
    pub async fn step_async<M: Module>(&mut self, module: M, gradients: GradientsParams) -> Result<M, Error> {
        let (module, gradients) = self.take(module, gradients).await?;
        let idle = self.idle(&gradients)?;
        let mut slices: Vec<_> =
            gradients.iter().map(|gradient| gradient.as_ref().map(Held::slice)).collect();
        for &place in &idle {
            slices[place] = Some(self.zeros.of(&self.setup.device, place, self.lens[place]));
        }
        let place = self.borrow(slices).await?;
        let mut encoder = self.encoder();
        if !idle.is_empty() && self.optimizer.steps() == 0 {
            // What the first step begins is not to be put back.
            self.optimizer.init_synced(&mut encoder)?;
        }
        let mut kept = Vec::new();
        for &place in &idle {
            kept.extend(self.optimizer.kept(&self.paths[place])?);
        }
        let aside = Aside::copy(&self.setup.device, &mut encoder, kept);
        let borrowed = &self.gradients[place].1;
        self.optimizer.step_with(&mut encoder, borrowed)?;
        self.dispatches = borrowed.dispatches();
        aside.put_back(&mut encoder);
        self.setup.queue.submit([encoder.finish()]);
        Ok(module)
    }

    /// Syncs now and begins the next cycle: at the end of training, say.
    ///
    /// # Errors
    ///
    /// As [`step_async`](Self::step_async), and what [`Optimizer::sync_now`] gives.
    pub async fn sync_async<M: Module>(&mut self, module: M) -> Result<M, Error> {
        let (module, _) = self.take(module, GradientsParams::new()).await?;
        let mut encoder = self.encoder();
        self.optimizer.sync_now(&mut encoder)?;
        self.setup.queue.submit([encoder.finish()]);
        Ok(module)
    }

    /// The module with its slow weights; module and optimizer stay as they are. They are copied on the device. Those in bf16
    /// go by way of the host.
    ///
    /// # Errors
    ///
    /// What [`Optimizer::readable`] and [`Optimizer::download`] give, and [`Error::Burn`].
    pub async fn slow_async<M: Module>(&self, module: &M) -> Result<M, Error> {
        self.with(module, Field::SlowWeights).await
    }

    /// The module with the [average](lookahead_wgpu::average) of its weights, copied on the device.
    ///
    /// # Errors
    ///
    /// As [`slow_async`](Self::slow_async).
    pub async fn average_async<M: Module>(&self, module: &M) -> Result<M, Error> {
        self.with(module, Field::Average).await
    }

    async fn with<M: Module>(&self, module: &M, field: Field<'_>) -> Result<M, Error> {
        let mut values = Vec::new();
        for ((path, len), weights) in self.paths.iter().zip(&self.lens).zip(&self.weights) {
            let slices = self.optimizer.readable(field, path)?;
            values.push(if slices.iter().map(|slice| slice.size).sum::<u64>() != 4 * *len as u64 {
                Values::Given(self.optimizer.download(field, path).await?)
            } else if slices.iter().all(|slice| slice == weights) {
                // Slow weights and average begin with the first step.
                Values::Kept
            } else {
                Values::At(slices)
            });
        }
        let mut replace = Replace::new(&self.places, values);
        let module = module.clone().map(&mut replace);
        replace.problem.map_or(Ok(()), Err)?;
        let (sources, targets): (Vec<_>, Vec<_>) = replace.copies.into_iter().unzip();
        let held = memory::hold(&targets)?;
        let mut encoder = self.encoder();
        for (sources, target) in sources.iter().zip(&held) {
            memory::copy(&mut encoder, sources, &target.slice());
        }
        self.setup.queue.submit([encoder.finish()]);
        Ok(module)
    }

    /// The module with a checkpoint's weights, on which training goes on where the checkpoint was taken:
    /// `optimizer().export()` takes one, and [`Snapshot::to_bytes`] and [`Snapshot::from_bytes`] have it in safetensors.
    ///
    /// # Errors
    ///
    /// As [`step_async`](Self::step_async), and what [`Optimizer::import`] gives.
    pub async fn import_async<M: Module>(&mut self, module: M, snapshot: &Snapshot) -> Result<M, Error> {
        let (module, _) = self.take(module, GradientsParams::new()).await?;
        self.optimizer.import(snapshot)?;
        Ok(module)
    }

    /// The optimizer, for what it counts and downloads. Its weights are those of the last module that a call gave.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The optimizer, for its settings: learning rate, k, alpha, frozen groups. What writes weights in it writes them in
    /// place, in clones of the module, too: see [`import_async`](Self::import_async) for those.
    pub fn optimizer_mut(&mut self) -> &mut Optimizer {
        &mut self.optimizer
    }

    /// How many parameters the last call copied: all in the first, and then those that are used elsewhere, too.
    pub fn copied(&self) -> usize {
        self.copied
    }

    /// How many dispatches the last step was, those of reductions and of the guard aside.
    pub fn dispatches(&self) -> usize {
        self.dispatches
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        let label = Some("lookahead-burn");
        self.setup.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label })
    }

    /// Points the optimizer to the module's weights, and gives the memory of its gradients, by place.
    async fn take<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
    ) -> Result<(M, Vec<Option<Held>>), Error> {
        // Burn makes parameters in buffers of their own. Copies lie in its pools, where many share a buffer, and so a dispatch.
        let copy = !self.is_pooled;
        let mut take = Take::new(&self.device, &self.places, gradients, copy);
        let module = module.map(&mut take);
        let Take { weights, gradients, copied, problem, .. } = take;
        problem.map_or(Ok(()), Err)?;
        if let Some(place) = weights.iter().position(Option::is_none) {
            let (path, problem) = (self.paths[place].clone(), "is not in this module".to_owned());
            return Err(Error::Parameter { path, problem });
        }
        self.copied = copied;
        let (there, present): (Vec<_>, Vec<_>) = gradients
            .into_iter()
            .enumerate()
            .filter_map(|(place, gradient)| Some((place, gradient?)))
            .unzip();
        let memory: Vec<_> = weights.into_iter().flatten().chain(present).collect();
        let mut held = memory::hold(&memory)?;
        let mut gradients: Vec<_> = self.paths.iter().map(|_| None).collect();
        for (place, gradient) in there.into_iter().zip(held.drain(self.paths.len()..)) {
            gradients[place] = Some(gradient);
        }
        let weights: Vec<_> = held.iter().map(Held::slice).collect();
        if weights != self.weights {
            let named: Vec<_> = self.paths.iter().map(String::as_str).zip(weights.iter().cloned()).collect();
            self.optimizer.borrow_weights(&named).await?;
            self.gradients.clear();
            self.weights = weights;
        }
        self.held = held;
        self.is_pooled = true;
        Ok((module, gradients))
    }

    /// The places of parameters that a step is to leave alone: those without a gradient, unless their group rests anyway.
    /// Among micro-batches, where others may have one, there are none.
    fn idle(&self, gradients: &[Option<Held>]) -> Result<Vec<usize>, Error> {
        let mut idle = Vec::new();
        for (place, path) in self.paths.iter().enumerate().filter(|(place, _)| gradients[*place].is_none()) {
            let accumulates = self.optimizer.buffers(Field::Accumulated, path).is_ok();
            if !accumulates && !self.optimizer.is_frozen(&self.groups[place])? {
                idle.push(place);
            }
        }
        Ok(idle)
    }

    /// Which of `self.gradients` these are.
    async fn borrow(&mut self, slices: Vec<Option<Slice>>) -> Result<usize, Error> {
        if let Some(place) = self.gradients.iter().position(|(other, _)| *other == slices) {
            return Ok(place);
        }
        let paths = self.paths.iter().map(String::as_str);
        let named: Vec<_> =
            paths.zip(&slices).filter_map(|(path, slice)| Some((path, slice.clone()?))).collect();
        let borrowed = self.optimizer.borrow_gradients(&named).await?;
        if self.gradients.len() == REMEMBERED {
            self.gradients.remove(0);
        }
        self.gradients.push((slices, borrowed));
        Ok(self.gradients.len() - 1)
    }
}
