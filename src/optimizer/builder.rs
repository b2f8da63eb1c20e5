//! Settings of an optimizer to be, and building it: all that can be wrong is checked here, before the first step.

use std::sync::Arc;

use super::{
    borrow::places,
    training::{Gradients, Optimizer, next_id},
};
use crate::{
    config::{
        accumulate::Accumulation,
        alpha::AdaptiveAlpha,
        anderson::Anderson,
        average::Average,
        clip::Clip,
        group::{DEFAULT_GROUP, Group},
        guard::Guard,
        lookahead::Lookahead,
        options::Options,
        outer::Outer,
        precision::Half,
        schedule::Schedule,
        shape::Shape,
        transform::Transform,
    },
    engine::{
        Buffer, Engine,
        slice::{Slice, check_disjoint},
    },
    error::Error,
    layout::{limits::Limits, tensors::Layout},
    plan::{
        Draft, Plan, Settings, TensorSettings, event::Event, foresight::Foresight, program::Program,
        recording::Recording,
    },
    rules::Rule,
};

/// Settings of an [`Optimizer`] to be; `Optimizer::builder` begins one.
#[derive(Debug)]
pub struct Builder<
    #[cfg(feature = "wgpu")] E: Engine = crate::gpu::Wgpu,
    #[cfg(not(feature = "wgpu"))] E: Engine,
> {
    rule: Arc<dyn Rule>,
    lookahead: Option<Lookahead>,
    options: Options,
    schedule: Schedule,
    groups: Vec<Group>,
    tensors: Vec<TensorSettings>,
    /// Where each tensor's weights lie, if they are the caller's.
    weights: Vec<Option<Slice<E::Buffer>>>,
    pub(super) shared: E::Shared,
    pub(super) shape: Option<Shape>,
}

impl<E: Engine> Builder<E> {
    /// Begins an optimizer with this rule, over any engine.
    pub fn new(rule: impl Rule + 'static) -> Self {
        Self {
            rule: Arc::new(rule),
            lookahead: None,
            options: Options::default(),
            schedule: Schedule::default(),
            groups: vec![],
            tensors: vec![],
            weights: vec![],
            shared: E::Shared::default(),
            shape: None,
        }
    }

    /// With Lookahead around the rule. Left out, the rule runs alone and no slow weights are kept.
    pub fn lookahead(self, lookahead: Lookahead) -> Self {
        Self { lookahead: Some(lookahead), ..self }
    }

    /// With all of these, instead of those set before.
    pub fn options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// With gradients clipped.
    pub fn clip(mut self, clip: Clip) -> Self {
        self.options.clip = clip;
        self
    }

    /// With one more [transformation of the gradient](crate::transform), after clipping and those given before.
    pub fn transform(mut self, transform: impl Transform + 'static) -> Self {
        self.options.transforms.push(Arc::new(transform));
        self
    }

    /// With this outer step at the syncs, instead of Lookahead's interpolation.
    pub fn outer(mut self, outer: impl Outer + 'static) -> Self {
        self.options.outer = Arc::new(outer);
        self
    }

    /// With an alpha that is found anew at every sync.
    pub fn adaptive(mut self, adaptive: AdaptiveAlpha) -> Self {
        self.options.adaptive = Some(adaptive);
        self
    }

    /// With [Anderson acceleration](crate::anderson) as the slow step, instead of Lookahead's interpolation.
    pub fn anderson(mut self, anderson: Anderson) -> Self {
        self.options.anderson = Some(anderson);
        self
    }

    /// With an average of the weights.
    pub fn average(mut self, average: Average) -> Self {
        self.options.average = Some(average);
        self
    }

    /// With several micro-batches a step.
    pub fn accumulate(mut self, accumulation: Accumulation) -> Self {
        self.options.accumulate = Some(accumulation);
        self
    }

    /// With the variance of the gradients [reduced](crate::variance_reduction), as SVRG does: `g <- g - g~ + mu`, with what
    /// the caller writes into [`Optimizer::snapshot_gradients`] and [`Optimizer::full_gradients`].
    pub fn variance_reduced(mut self) -> Self {
        self.options.variance_reduced = true;
        self
    }

    /// With gradients centralised (Yong et al., 2020): from the gradient of every tensor of two or more
    /// dimensions, the mean over all but the first is taken away, before clipping. A row of one value keeps
    /// its gradient.
    pub fn centralise(mut self) -> Self {
        self.options.centralise = true;
        self
    }

    /// With the objective maximised, as PyTorch's `maximize`: gradients change their sign before clipping, weight decay
    /// and the rule see them. The gradient buffers themselves are left as they are.
    pub fn maximize(mut self) -> Self {
        self.options.maximize = true;
        self
    }

    /// With gradient norms to be read, where nothing is clipped by norm and no guard is set, which take them too: every
    /// step takes the norm, and [`Optimizer::download_gradient_norms`] reads it. Costs one more reading of the
    /// gradient.
    pub fn gradient_norms(mut self) -> Self {
        self.options.gradient_norms = true;
        self
    }

    /// With steps skipped whose gradient is not finite.
    pub fn guard(mut self, guard: Guard) -> Self {
        self.options.guard = Some(guard);
        self
    }

    /// With a half-width copy of the weights, which every step writes along with them;
    /// [`Optimizer::half_weights`] says where.
    pub fn half_weights(mut self, half: Half) -> Self {
        self.options.half_weights = Some(half);
        self
    }

    /// With gradients in half-width.
    pub fn half_gradients(mut self, half: Half) -> Self {
        self.options.half_gradients = Some(half);
        self
    }

    /// With slow weights in bf16, rounded up or down at random so that their mean is exact. The fast weights
    /// restart at the value before rounding.
    pub fn slow_bf16(mut self) -> Self {
        self.options.slow_bf16 = true;
        self
    }

    /// With this learning-rate schedule.
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// With a group of tensors that has settings of its own.
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// With a tensor in the optimizer's own buffers. A shape `[]` is one value.
    pub fn tensor(self, name: &str, shape: &[usize]) -> Self {
        self.tensor_in(DEFAULT_GROUP, name, shape)
    }

    /// With a tensor of a group.
    pub fn tensor_in(mut self, group: &str, name: &str, shape: &[usize]) -> Self {
        let (name, shape, group) = (name.to_owned(), shape.to_vec(), group.to_owned());
        self.tensors.push(TensorSettings { name, shape, group });
        self.weights.push(None);
        self
    }

    /// With a tensor whose weights stay in the caller's buffer (usage `STORAGE`).
    /// [`Optimizer::borrow_gradients`] tells where its gradients lie.
    pub fn borrowed(self, name: &str, shape: &[usize], weights: Slice<E::Buffer>) -> Self {
        self.borrowed_in(DEFAULT_GROUP, name, shape, weights)
    }

    /// [`Self::borrowed`], with a group.
    pub fn borrowed_in(
        mut self,
        group: &str,
        name: &str,
        shape: &[usize],
        weights: Slice<E::Buffer>,
    ) -> Self {
        let (name, shape, group) = (name.to_owned(), shape.to_vec(), group.to_owned());
        self.tensors.push(TensorSettings { name, shape, group });
        self.weights.push(Some(weights));
        self
    }

    /// Decides what the optimizer would be on a device with these limits, without one: memory, bytes moved, dispatches
    /// (for hardware, where no [`shape`](Self::shape) is set), and everything that would be refused but what only a device knows.
    ///
    /// ```
    /// use lookahead_wgpu::{Limits, Lookahead, Optimizer, rules::Adam};
    /// # fn main() -> Result<(), lookahead_wgpu::Error> {
    /// let builder = Optimizer::builder(Adam::default()).lookahead(Lookahead::default());
    /// let plan = builder.tensor("weight", &[1000, 1000]).plan(&Limits::default())?;
    /// println!("{}", plan.memory());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Whatever is wrong with names, shapes, hyperparameters, rules or borrowed ranges; [`Error::Limit`] where these
    /// limits are too low.
    pub fn plan(self, limits: &Limits) -> Result<Plan, Error> {
        Ok(self.planned(limits)?.0)
    }

    /// With kernels cut like this, instead of as the adapter's kind suggests.
    pub fn shape(self, shape: Shape) -> Self {
        Self { shape: Some(shape), ..self }
    }

    /// The plan, and the caller's slices.
    fn planned(self, limits: &Limits) -> Result<(Plan, Option<Slices<E>>), Error> {
        let is_borrowed = self.weights.iter().any(Option::is_some);
        let Self { rule, lookahead, options, schedule, groups, tensors, weights, .. } = self;
        let shape = self.shape.unwrap_or_default();
        let settings = Settings { rule, lookahead, options, schedule, groups, tensors, is_borrowed, shape };
        let mixed = is_borrowed && weights.iter().any(Option::is_none);
        let draft = Draft::new(settings, mixed, limits)?;
        let weights: Option<Slices<E>> = weights.into_iter().collect();
        let weights = weights.filter(|_| is_borrowed);
        if let Some(weights) = &weights {
            check_weights(&draft.layout, weights)?;
        }
        Ok((draft.plan()?, weights))
    }

    /// Builds on an engine that `make` makes of the plan. `shape` is the one that suits it, `limits` are its limits.
    pub(super) async fn build_on(
        self,
        shape: Shape,
        limits: &Limits,
        make: impl AsyncFnOnce(&Program, &E::Shared) -> Result<E, Error>,
    ) -> Result<Optimizer<E>, Error> {
        let shared = self.shared.clone();
        let shape = self.shape.unwrap_or(shape);
        let (plan, borrowed) = self.shape(shape).planned(limits)?;
        let mut buffers = Vec::new();
        let placement = match &borrowed {
            None => plan.own_placement(),
            Some(weights) => plan.weights_placement(&places(weights, &mut buffers))?,
        };
        let engine = make(&plan.program, &shared).await?;
        let placed = engine.place(&plan.program, &placement, &buffers, "the optimizer's buffers").await?;
        let id = next_id();
        let own = Arc::new(Gradients::new(id, vec![], placement, placed));
        let (event, recording, foresight) = (Event::default(), Recording::default(), Foresight::default());
        Ok(Optimizer { plan, engine, borrowed, own, id, event, recording, foresight })
    }
}

/// Where tensors lie.
type Slices<E> = Vec<Slice<<E as Engine>::Buffer>>;

fn check_weights<B: Buffer>(layout: &Layout, weights: &[Slice<B>]) -> Result<(), Error> {
    for (tensor, slice) in layout.tensors.iter().zip(weights) {
        slice.check("weights", tensor, None)?;
    }
    let names = layout.tensors.iter().map(|tensor| format!("weights of `{}`", tensor.name));
    check_disjoint(names.zip(weights).collect())
}
