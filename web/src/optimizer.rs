//! The optimizer as JavaScript sees it.

use std::{
    borrow::Cow,
    cell::{Ref, RefCell, RefMut},
    rc::Rc,
};

use js_sys::{Array, Float32Array, Object, Promise, Reflect, Uint8Array};
use lookahead_wgpu::{
    DEFAULT_GROUP, Error, Field, Half, Limits, Shape, Snapshot, check_hyperparameter,
    foreign::{self, Foreign, Slice},
};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::future_to_promise;

use crate::{
    begun::begun,
    device::{Device, Encoder, Opening},
    given::camel,
    options::{self, Options, Placed},
    problem::Problem,
    types::{BorrowedTensors, BufferSlices, FieldName, GpuDevice, OptimizerOptions, PageEncoder},
};

type Inner = lookahead_wgpu::Optimizer<Foreign<Device>>;
type Gradients = lookahead_wgpu::Gradients<Foreign<Device>>;

/// Lookahead around an inner optimizer, over named tensors in GPU buffers.
#[wasm_bindgen]
pub struct Optimizer {
    device: Device,
    optimizer: Rc<RefCell<Inner>>,
    /// Where weights and gradients lie, where they are the page's.
    borrowed: RefCell<Option<Borrowed>>,
    /// In what gradients are, where it is not f32.
    half_gradients: Option<Half>,
}

/// What is the page's.
struct Borrowed {
    weights: Vec<Placed>,
    gradients: Vec<Placed>,
    placed: Gradients,
}

impl Borrowed {
    /// Moves weights and gradients; where something is refused, they are where they were.
    fn borrow(
        &mut self,
        optimizer: &mut Inner,
        [weights, gradients]: &[Vec<Placed>; 2],
    ) -> Result<(), Problem> {
        let (weights, gradients) = (over(&self.weights, weights), over(&self.gradients, gradients));
        let is_moved = weights != self.weights;
        if is_moved {
            optimizer.borrow_weights_at_once(&named(&weights))?;
        }
        match optimizer.borrow_gradients_at_once(&named(&gradients)) {
            Ok(placed) => *self = Self { weights, gradients, placed },
            Err(error) => {
                if is_moved {
                    optimizer.borrow_weights_at_once(&named(&self.weights))?;
                    self.placed = optimizer.borrow_gradients_at_once(&named(&self.gradients))?;
                }
                return Err(error.into());
            }
        }
        Ok(())
    }
}

#[wasm_bindgen]
impl Optimizer {
    /// Makes the buffers and kernels on the page's device, or on one that is opened for it, which has the limits that every
    /// browser offers, and more only where these options need more.
    pub async fn create(options: OptimizerOptions) -> Result<Optimizer, JsValue> {
        let (options, opening) = read(options)?;
        if options.is_borrowed() && !opening.is_given() {
            let problem = "tensors on the page's buffers need the `device` that these are of";
            return Err(Problem::argument(problem).into());
        }
        let needed = if opening.is_given() { vec![] } else { needed(&options)? };
        let device = opening.device(&needed).await?;
        let built = async {
            let (builder, shape, limits) = Self::builder(&options, &device)?;
            let optimizer = builder.build_on_device(device.clone(), shape, &limits).await?;
            Self::new(&options, &device, optimizer)
        };
        Ok(built.await.inspect_err(|_| device.destroy())?)
    }

    /// The same on a device of the page's without waiting: WebAssembly is compiled already (`await init()`), and what the
    /// device refuses is thrown by a later call.
    #[wasm_bindgen(js_name = createSync)]
    pub fn create_sync(options: OptimizerOptions) -> Result<Optimizer, JsValue> {
        let (options, opening) = read(options)?;
        if !opening.is_given() {
            let problem = "`createSync` needs a `device`: one that is opened has to be waited for";
            return Err(Problem::argument(problem).into());
        }
        let device = opening.given_device();
        let build = || {
            let (builder, shape, limits) = Self::builder(&options, &device)?;
            let optimizer = builder.build_on_device_at_once(device.clone(), shape, &limits)?;
            Self::new(&options, &device, optimizer)
        };
        Ok(build().inspect_err(|_| device.destroy())?)
    }

    /// The adapter in words, as far as the browser names it.
    #[wasm_bindgen(getter)]
    pub fn adapter(&self) -> String {
        let info = Reflect::get(&self.device.device(), &"adapterInfo".into()).unwrap_or_default();
        let word =
            |name: &str| Reflect::get(&info, &name.into()).ok()?.as_string().filter(|word| !word.is_empty());
        let words: Vec<_> =
            ["vendor", "architecture", "device", "description"].into_iter().filter_map(word).collect();
        if words.is_empty() { "unnamed".to_owned() } else { words.join(" ") }
    }

    /// The GPU device. Kernels of your own that read weights or write gradients run on it.
    #[wasm_bindgen(getter)]
    pub fn device(&self) -> GpuDevice {
        self.device.device().unchecked_into()
    }

    /// Waits until the device is lost, and tells why. After `destroy` it is lost, too, if it is the optimizer's own. An
    /// optimizer may be freed meanwhile.
    #[wasm_bindgen(unchecked_return_type = "Promise<string>")]
    pub fn lost(&self) -> Promise {
        self.device.when_lost()
    }

    /// Tells that tensors on buffers of the page's lie elsewhere from the next step on: their weights, gradients or both,
    /// each `{ buffer, offset }`. Those that are not named stay where they are. Does not wait.
    pub fn borrow(&self, tensors: BorrowedTensors) -> Result<(), Problem> {
        let mut optimizer = self.alive("borrow")?;
        let mut borrowed = self.borrowed.borrow_mut();
        let Some(borrowed) = &mut *borrowed else {
            return Err(Problem::argument(
                "`borrow` is for tensors that were created on buffers of the page's",
            ));
        };
        let moved = options::moved(&self.device, &optimizer, tensors.into(), self.half_gradients);
        let changed = moved.and_then(|moved| borrowed.borrow(&mut optimizer, &moved));
        let all = borrowed.weights.iter().chain(&borrowed.gradients);
        self.device.keep(&all.map(|(_, slice)| slice.buffer.number).collect::<Vec<_>>());
        changed
    }

    /// Sets a tensor's weights. Before the first step the slow weights follow; later, `initSynced` makes them.
    #[wasm_bindgen(js_name = setWeights)]
    pub fn set_weights(
        &self,
        tensor: &str,
        #[wasm_bindgen(unchecked_param_type = "Numbers")] values: &[f32],
    ) -> Result<(), Problem> {
        Ok(self.alive("setWeights")?.upload(tensor, values)?)
    }

    /// Sets a tensor's gradient for the next step. Gradients stay as they are until they are set again.
    #[wasm_bindgen(js_name = setGradient)]
    pub fn set_gradient(
        &self,
        tensor: &str,
        #[wasm_bindgen(unchecked_param_type = "Numbers")] values: &[f32],
    ) -> Result<(), Problem> {
        let optimizer = self.alive("setGradient")?;
        let slices = optimizer.buffers(Field::Gradients, tensor)?;
        let found = values.len();
        let shape = optimizer.tensors().find(|(name, _)| *name == tensor).map(|(_, shape)| shape);
        let expected = shape.map_or(found, |shape| shape.iter().product());
        if found != expected {
            return Err(Error::Length { tensor: tensor.to_owned(), expected, found }.into());
        }
        let bytes: Cow<'_, [u8]> = match self.half_gradients {
            None => bytemuck::cast_slice(values).into(),
            Some(half) => half.encode(values).into(),
        };
        let mut rest: &[u8] = &bytes;
        for slice in slices {
            let (head, tail) = rest.split_at(rest.len().min(slice.size as usize));
            let written = foreign::Device::write(&self.device, slice.buffer.number, slice.offset, head);
            written.map_err(|problem| Problem::of_device("writing a gradient", problem))?;
            rest = tail;
        }
        Ok(())
    }

    /// Where a tensor's weights lie: one slice, or several where it is larger than a binding.
    #[wasm_bindgen(js_name = weightSlices)]
    pub fn weight_slices(&self, tensor: &str) -> Result<BufferSlices, Problem> {
        self.slices(&self.shared()?.buffers(Field::Weights, tensor)?)
    }

    /// Where a tensor's gradient is to be written, instead of `setGradient`.
    #[wasm_bindgen(js_name = gradientSlices)]
    pub fn gradient_slices(&self, tensor: &str) -> Result<BufferSlices, Problem> {
        self.slices(&self.shared()?.buffers(Field::Gradients, tensor)?)
    }

    /// Where a tensor's slow weights lie.
    #[wasm_bindgen(js_name = slowWeightSlices)]
    pub fn slow_weight_slices(&self, tensor: &str) -> Result<BufferSlices, Problem> {
        self.slices(&self.shared()?.buffers(Field::SlowWeights, tensor)?)
    }

    /// Where the half-width copy of a tensor's weights lies, with `halfWeights`: two values a word.
    #[wasm_bindgen(js_name = halfWeightSlices)]
    pub fn half_weight_slices(&self, tensor: &str) -> Result<BufferSlices, Problem> {
        self.slices(&self.shared()?.buffers(Field::HalfWeights, tensor)?)
    }

    /// Where a tensor's curvature is to be written, with `adaptiveAlpha: { curvature: 'given' }`.
    #[wasm_bindgen(js_name = curvatureSlices)]
    pub fn curvature_slices(&self, tensor: &str) -> Result<BufferSlices, Problem> {
        self.slices(&self.shared()?.buffers(Field::Curvature, tensor)?)
    }

    /// Where the gradient of a mini-batch at the slow weights is to be written, with `varianceReduced`: f32.
    #[wasm_bindgen(js_name = snapshotGradientSlices)]
    pub fn snapshot_gradient_slices(&self, tensor: &str) -> Result<BufferSlices, Problem> {
        self.slices(&self.shared()?.buffers(Field::SnapshotGradients, tensor)?)
    }

    /// Where the gradient of all samples at the slow weights is to be written, with `varianceReduced`: f32.
    #[wasm_bindgen(js_name = fullGradientSlices)]
    pub fn full_gradient_slices(&self, tensor: &str) -> Result<BufferSlices, Problem> {
        self.slices(&self.shared()?.buffers(Field::FullGradients, tensor)?)
    }

    /// Whether the slow weights are others than at the last step, so that the gradient of all samples is to be written anew
    /// before the next one. With a guard `counters` tell instead.
    #[wasm_bindgen(js_name = fullGradientsDue)]
    pub fn full_gradients_due(&self) -> Result<bool, Problem> {
        Ok(self.shared()?.full_gradients_due()?)
    }

    /// Where the loss scale lies, one f32 that kernels multiply the loss (or the first gradient) with. Nothing without a
    /// guard; 1 without loss scaling.
    #[wasm_bindgen(js_name = lossScaleSlices)]
    pub fn loss_scale_slices(&self) -> Result<BufferSlices, Problem> {
        self.slices(self.shared()?.loss_scale().as_slice())
    }

    /// Takes a step, after everything that was submitted to the device's queue; with an encoder of the page's, after all that
    /// was recorded there, and the page submits it. Does not wait.
    pub fn step(&self, encoder: Option<PageEncoder>) -> Result<(), Problem> {
        self.submit("step", encoder, |optimizer, encoder| match &*self.borrowed.borrow() {
            None => optimizer.step(encoder),
            Some(borrowed) => optimizer.step_with(encoder, &borrowed.placed),
        })
    }

    /// Takes the step that `accumulate` has not enough micro-batches of yet with those that are there, and tells whether
    /// there was one to take.
    pub fn flush(&self, encoder: Option<PageEncoder>) -> Result<bool, Problem> {
        let mut flushed = false;
        self.submit("flush", encoder, |optimizer, encoder| {
            flushed = optimizer.flush(encoder)?;
            Ok(())
        })?;
        Ok(flushed)
    }

    /// Forgets the micro-batches that were accumulated for the next step, and tells how many there were.
    pub fn discard(&self) -> Result<u32, Problem> {
        Ok(self.alive("discard")?.discard())
    }

    /// Ends the cycle now. Groups that have taken no step since their last sync stay as they are.
    #[wasm_bindgen(js_name = syncNow)]
    pub fn sync_now(&self, encoder: Option<PageEncoder>) -> Result<(), Problem> {
        self.submit("syncNow", encoder, |optimizer, encoder| optimizer.sync_now(encoder))
    }

    /// The same as the last step's own sync would have been: at that step's learning rate, which `slowMo` divides by. With a k
    /// that no cycle reaches, syncs come where this is called.
    #[wasm_bindgen(js_name = syncLastStep)]
    pub fn sync_last_step(&self, encoder: Option<PageEncoder>) -> Result<(), Problem> {
        self.submit("syncLastStep", encoder, |optimizer, encoder| optimizer.sync_last_step(encoder))
    }

    /// Makes the slow weights follow the weights and begins a new cycle, and the average anew.
    #[wasm_bindgen(js_name = initSynced)]
    pub fn init_synced(&self, encoder: Option<PageEncoder>) -> Result<(), Problem> {
        self.submit("initSynced", encoder, |optimizer, encoder| optimizer.init_synced(encoder))
    }

    /// Begins the average anew with the next step; until then it is a copy of the weights. Cycles go on where they are.
    #[wasm_bindgen(js_name = beginAverage)]
    pub fn begin_average(&self, encoder: Option<PageEncoder>) -> Result<(), Problem> {
        self.submit("beginAverage", encoder, |optimizer, encoder| optimizer.begin_average(encoder))
    }

    /// Exchanges the weights with the slow ones, for an evaluation by kernels of your own; a second call exchanges
    /// them back. Steps and reads are refused meanwhile.
    #[wasm_bindgen(js_name = swapSlow)]
    pub fn swap_slow(&self, encoder: Option<PageEncoder>) -> Result<(), Problem> {
        self.submit("swapSlow", encoder, |optimizer, encoder| optimizer.swap_slow(encoder))
    }

    /// The same with the average.
    #[wasm_bindgen(js_name = swapAverage)]
    pub fn swap_average(&self, encoder: Option<PageEncoder>) -> Result<(), Problem> {
        self.submit("swapAverage", encoder, |optimizer, encoder| optimizer.swap_average(encoder))
    }

    /// Reads a tensor's weights as they are after everything submitted before this call.
    #[wasm_bindgen(unchecked_return_type = "Promise<Float32Array>")]
    pub fn weights(&self, tensor: &str) -> Promise {
        self.download(Field::Weights, tensor)
    }

    /// Reads a tensor's slow weights.
    #[wasm_bindgen(js_name = slowWeights, unchecked_return_type = "Promise<Float32Array>")]
    pub fn slow_weights(&self, tensor: &str) -> Promise {
        self.download(Field::SlowWeights, tensor)
    }

    /// Reads any field of a tensor: `weights`, `slow_weights`, `average`, `state.exp_avg`, ...
    #[wasm_bindgen(unchecked_return_type = "Promise<Float32Array>")]
    pub fn read(&self, field: FieldName, tensor: &str) -> Promise {
        match parsed(&field_name(field)) {
            Ok(field) => self.download(field, tensor),
            Err(problem) => Promise::reject(&problem.into()),
        }
    }

    /// Reads a field that every tensor has, in the order of the tensors, with one wait for all of them (for each 64 MiB).
    /// Steps are refused until it is done.
    #[wasm_bindgen(js_name = readAll, unchecked_return_type = "Promise<Float32Array[]>")]
    pub fn read_all(&self, field: FieldName) -> Promise {
        let name = field_name(field);
        self.hold("readAll", async move |optimizer| {
            let all = optimizer.download_all(parsed(&name)?).await?;
            Ok(all.iter().map(|values| Float32Array::from(values.as_slice())).collect::<Array>().into())
        })
    }

    /// Writes a checkpoint, in the format of the Rust crate's files (safetensors). Steps are refused until it is
    /// done.
    #[wasm_bindgen(unchecked_return_type = "Promise<Uint8Array>")]
    pub fn save(&self) -> Promise {
        self.hold("save", async |optimizer| {
            let bytes = optimizer.export().await?.to_bytes()?;
            Ok(Uint8Array::from(bytes.as_slice()).into())
        })
    }

    /// Goes on from a checkpoint of the same tensors and rule, with the settings that it holds. `options` say what may be
    /// begun or given up where the checkpoint has it otherwise, and whether settings stay as they are.
    pub fn load(
        &self,
        #[wasm_bindgen(unchecked_param_type = "ArrayBufferLike | ArrayBufferView")] checkpoint: &[u8],
        #[wasm_bindgen(unchecked_optional_param_type = "LoadOptions")] options: JsValue,
    ) -> Result<(), Problem> {
        let options = options::load(options)?;
        let snapshot = Snapshot::from_bytes(checkpoint)?;
        Ok(self.alive("load")?.import_with(&snapshot, options)?)
    }

    /// Steps taken.
    #[wasm_bindgen(getter)]
    pub fn steps(&self) -> Result<f64, Problem> {
        Ok(self.shared()?.steps() as f64)
    }

    /// Steps since the last sync of a group (the default one where left out).
    pub fn position(&self, group: Option<String>) -> Result<u32, Problem> {
        Ok(self.shared()?.position(group_name(&group))?)
    }

    /// Which task of its round, from 0, the next step of a group belongs to (the default one where left out), with
    /// `lookahead: { tasks }`.
    pub fn task(&self, group: Option<String>) -> Result<u32, Problem> {
        Ok(self.shared()?.task(group_name(&group))?)
    }

    /// Steps taken and skipped, and how far each group is, as the GPU counts them: with a guard it alone knows.
    /// Steps are refused until it is done.
    #[wasm_bindgen(unchecked_return_type = "Promise<Counters>")]
    pub fn counters(&self) -> Promise {
        self.hold("counters", async |optimizer| {
            let counters = optimizer.counters().await?;
            let groups = optimizer.groups().zip(&counters.groups).map(|(name, group)| {
                object([
                    ("name", name.into()),
                    ("count", (group.count as f64).into()),
                    ("position", group.position.into()),
                    ("task", group.task.into()),
                ])
            });
            Ok(object([
                ("steps", (counters.steps as f64).into()),
                ("skipped", (counters.skipped as f64).into()),
                ("lossScale", counters.loss_scale.into()),
                ("groups", groups.collect::<Array>().into()),
            ]))
        })
    }

    /// The gradient's norm at the last step submitted before this call, before clipping: one for the model, or one a
    /// tensor where clipping is by tensor. Empty where no norm is taken: create with `gradientNorms: true`. Steps may be
    /// taken while it is under way.
    #[wasm_bindgen(js_name = gradientNorms, unchecked_return_type = "Promise<number[]>")]
    pub fn gradient_norms(&self) -> Promise {
        let reading =
            self.check_alive("gradientNorms").and_then(|()| Ok(self.shared()?.download_gradient_norms()));
        future_to_promise(async {
            let norms = reading?.await.map_err(Problem::from)?;
            Ok(norms.into_iter().map(JsValue::from).collect::<Array>().into())
        })
    }

    /// The adaptive alphas of the last sync: one for the model, or one a group or tensor; `null` where the fixed one was
    /// taken. Empty without `adaptiveAlpha`. Steps are refused until it is done.
    #[wasm_bindgen(unchecked_return_type = "Promise<(number | null)[]>")]
    pub fn alphas(&self) -> Promise {
        self.hold("alphas", async |optimizer| {
            let alphas = optimizer.download_alphas().await?.into_iter();
            Ok(alphas.map(|alpha| alpha.map_or(JsValue::NULL, JsValue::from)).collect::<Array>().into())
        })
    }

    /// The coefficients of Anderson acceleration at the last sync, those of the oldest residual first: one array for the
    /// model, or one a group or tensor; `null` where the fixed step was taken. Empty without `anderson`. Steps are refused
    /// until it is done.
    #[wasm_bindgen(unchecked_return_type = "Promise<(number[] | null)[]>")]
    pub fn accelerations(&self) -> Promise {
        self.hold("accelerations", async |optimizer| {
            let found = optimizer.download_accelerations().await?.into_iter();
            let array = |of: Vec<f32>| of.into_iter().map(JsValue::from).collect::<Array>().into();
            Ok(found.map(|found| found.map_or(JsValue::NULL, array)).collect::<Array>().into())
        })
    }

    /// Steps that the guard skipped. Steps are refused until it is done.
    #[wasm_bindgen(unchecked_return_type = "Promise<number>")]
    pub fn skipped(&self) -> Promise {
        self.hold("skipped", async |optimizer| Ok((optimizer.counters().await?.skipped as f64).into()))
    }

    /// The learning rate of the next step of a group (the default one where left out).
    #[wasm_bindgen(js_name = learningRate)]
    pub fn learning_rate(&self, group: Option<String>) -> Result<f64, Problem> {
        Ok(self.shared()?.learning_rate(group_name(&group))?)
    }

    /// Sets a group's learning rate, which the schedule multiplies.
    #[wasm_bindgen(js_name = setLearningRate)]
    pub fn set_learning_rate(&self, lr: f64, group: Option<String>) -> Result<(), Problem> {
        Ok(self.alive("setLearningRate")?.set_learning_rate(group_name(&group), lr)?)
    }

    /// Sets k, between cycles.
    #[wasm_bindgen(js_name = setK)]
    pub fn set_k(&self, k: f64, group: Option<String>) -> Result<(), Problem> {
        // JavaScript's numbers would become a u32 without a word.
        let is_allowed = k >= 1.0 && k.fract() == 0.0 && k <= f64::from(u32::MAX);
        check_hyperparameter("k", k, |_| is_allowed, "a whole number from 1 to 4294967295")?;
        Ok(self.alive("setK")?.set_k(group_name(&group), k as u32)?)
    }

    /// Sets alpha, between cycles.
    #[wasm_bindgen(js_name = setAlpha)]
    pub fn set_alpha(&self, alpha: f64, group: Option<String>) -> Result<(), Problem> {
        Ok(self.alive("setAlpha")?.set_alpha(group_name(&group), alpha)?)
    }

    /// A group's k; `undefined` for the rule alone.
    pub fn k(&self, group: Option<String>) -> Result<Option<u32>, Problem> {
        Ok(self.shared()?.lookahead(group_name(&group))?.map(|lookahead| lookahead.k))
    }

    /// A group's alpha; `undefined` for the rule alone.
    pub fn alpha(&self, group: Option<String>) -> Result<Option<f64>, Problem> {
        Ok(self.shared()?.lookahead(group_name(&group))?.map(|lookahead| lookahead.alpha))
    }

    /// A group's learning rate before schedule and factor: what `setLearningRate` sets.
    #[wasm_bindgen(js_name = baseLearningRate)]
    pub fn base_learning_rate(&self, group: Option<String>) -> Result<f64, Problem> {
        Ok(self.shared()?.base_learning_rate(group_name(&group))?)
    }

    /// The factor on a group's learning rate.
    #[wasm_bindgen(js_name = learningRateFactor)]
    pub fn learning_rate_factor(&self, group: Option<String>) -> Result<f64, Problem> {
        Ok(self.shared()?.learning_rate_factor(group_name(&group))?)
    }

    /// Sets the factor on a group's learning rate.
    #[wasm_bindgen(js_name = setLearningRateFactor)]
    pub fn set_learning_rate_factor(&self, factor: f64, group: Option<String>) -> Result<(), Problem> {
        Ok(self.alive("setLearningRateFactor")?.set_learning_rate_factor(group_name(&group), factor)?)
    }

    /// A group's weight decay.
    #[wasm_bindgen(js_name = weightDecay)]
    pub fn weight_decay(&self, group: Option<String>) -> Result<f64, Problem> {
        Ok(self.shared()?.weight_decay(group_name(&group))?.factor())
    }

    /// Sets a group's weight decay, which stays of its rule's kind.
    #[wasm_bindgen(js_name = setWeightDecay)]
    pub fn set_weight_decay(&self, decay: f64, group: Option<String>) -> Result<(), Problem> {
        Ok(self.alive("setWeightDecay")?.set_weight_decay(group_name(&group), decay)?)
    }

    /// Whether a group is frozen.
    #[wasm_bindgen(js_name = isFrozen)]
    pub fn is_frozen(&self, group: Option<String>) -> Result<bool, Problem> {
        Ok(self.shared()?.is_frozen(group_name(&group))?)
    }

    /// Freezes a group, or lets it go on. Within a cycle its weights move once more, at the cycle's sync; `syncNow` before
    /// makes that now.
    #[wasm_bindgen(js_name = setFrozen)]
    pub fn set_frozen(&self, frozen: bool, group: Option<String>) -> Result<(), Problem> {
        Ok(self.alive("setFrozen")?.set_frozen(group_name(&group), frozen)?)
    }

    /// Sets the hyperparameters of a group's rule: the same rule with others. Its learning rate and weight decay become the
    /// group's.
    #[wasm_bindgen(js_name = setRule)]
    pub fn set_rule(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Rule")] rule: JsValue,
        group: Option<String>,
    ) -> Result<(), Problem> {
        let rule = options::rule(rule)?;
        Ok(self.alive("setRule")?.set_rule(group_name(&group), rule)?)
    }

    /// Sets the schedule; left out, the constant one.
    #[wasm_bindgen(js_name = setSchedule)]
    pub fn set_schedule(
        &self,
        #[wasm_bindgen(unchecked_optional_param_type = "Schedule")] schedule: JsValue,
    ) -> Result<(), Problem> {
        let schedule = options::schedule(schedule)?;
        Ok(self.alive("setSchedule")?.set_schedule(schedule)?)
    }

    /// Bytes of GPU memory that the optimizer takes.
    #[wasm_bindgen(getter)]
    pub fn memory(&self) -> Result<f64, Problem> {
        Ok(self.shared()?.memory().total() as f64)
    }

    /// Gives all GPU memory back at once, and the device, if it is not the page's. The optimizer is of no more use.
    pub fn destroy(&self) {
        self.device.destroy();
    }
}

impl Optimizer {
    /// An optimizer to be, and what suits the device.
    fn builder(options: &Options, device: &Device) -> Result<(options::Builder, Shape, Limits), Problem> {
        let limits = Limits::by_name(|name| device.limit(&camel(name)) as u64);
        // SwiftShader, on which browsers compute where they have no GPU, compiles long kernels badly.
        let shape = if device.is_cpu() { Shape::SWIFTSHADER } else { Shape::GPU };
        Ok((options.builder(Some(device))?, shape, limits))
    }

    fn new(options: &Options, device: &Device, optimizer: Inner) -> Result<Self, Problem> {
        let borrowed = match options.weights(device)? {
            weights if weights.is_empty() => None,
            weights => {
                let gradients = options.gradients(device)?;
                let placed = optimizer.borrow_gradients_at_once(&named(&gradients))?;
                Some(Borrowed { weights, gradients, placed })
            }
        };
        Ok(Self {
            device: device.clone(),
            optimizer: Rc::new(RefCell::new(optimizer)),
            borrowed: RefCell::new(borrowed),
            half_gradients: options.half_gradients(),
        })
    }

    fn submit(
        &self,
        call: &str,
        encoder: Option<PageEncoder>,
        record: impl FnOnce(&mut Inner, &mut Encoder) -> Result<(), Error>,
    ) -> Result<(), Problem> {
        let mut optimizer = self.alive(call)?;
        let failed = |problem| Problem::of_device(call, problem);
        let mut encoder = match encoder {
            Some(encoder) => self.device.encoder_of(encoder.into()),
            None => self.device.encoder().map_err(failed)?,
        };
        let recorded = record(&mut optimizer, &mut encoder);
        // What was recorded before something failed was counted.
        encoder.submit().map_err(failed)?;
        Ok(recorded?)
    }

    /// A tensor's values as they are at this call; steps may be taken while they are under way.
    fn download(&self, field: Field<'_>, tensor: &str) -> Promise {
        let reading =
            self.check_alive("reading values").and_then(|()| Ok(self.shared()?.download(field, tensor)));
        future_to_promise(async {
            let values = reading?.await.map_err(Problem::from)?;
            Ok(Float32Array::from(values.as_slice()).into())
        })
    }

    /// A call that keeps steps away until it is done, and begins now.
    #[expect(clippy::await_holding_refcell_ref, reason = "`alive` sees it, and refuses steps meanwhile")]
    fn hold(
        &self,
        call: &str,
        run: impl AsyncFnOnce(&Inner) -> Result<JsValue, Problem> + 'static,
    ) -> Promise {
        let alive = self.check_alive(call);
        let optimizer = Rc::clone(&self.optimizer);
        begun(async move {
            alive?;
            let optimizer = shared(&optimizer)?;
            Ok(run(&optimizer).await?)
        })
    }

    /// The optimizer, to change it.
    fn alive(&self, call: &str) -> Result<RefMut<'_, Inner>, Problem> {
        self.check_alive(call)?;
        let busy = |_| {
            Problem::argument(format!(
                "`{call}` while `readAll`, `save`, `counters`, `alphas`, `accelerations` or `skipped` is under way; await it first"
            ))
        };
        self.optimizer.try_borrow_mut().map_err(busy)
    }

    /// The optimizer, to ask what the host knows.
    fn shared(&self) -> Result<Ref<'_, Inner>, Problem> {
        shared(&self.optimizer)
    }

    /// Browsers take calls on a lost device without a word, and tell later what they refused.
    fn check_alive(&self, call: &str) -> Result<(), Problem> {
        if let Some(message) = self.device.lost() {
            let doing = format!("`{call}`");
            return Err(Error::DeviceLost { doing, message }.into());
        }
        let Some(problem) = self.device.take_problem() else { return Ok(()) };
        Err(self.shared()?.explain(problem, "a call before this one").into())
    }

    /// Slices as `{ buffer, offset, size }`.
    fn slices(&self, slices: &[Slice]) -> Result<BufferSlices, Problem> {
        let slice = |slice: &Slice| {
            object([
                ("buffer", self.device.buffer_of(slice.buffer.number)),
                ("offset", (slice.offset as f64).into()),
                ("size", (slice.size as f64).into()),
            ])
        };
        Ok(JsValue::from(slices.iter().map(slice).collect::<Array>()).unchecked_into())
    }
}

fn shared(optimizer: &RefCell<Inner>) -> Result<Ref<'_, Inner>, Problem> {
    optimizer.try_borrow().map_err(|_| Problem::argument("the optimizer is at another call"))
}

fn field_name(field: FieldName) -> String {
    JsValue::from(field).as_string().unwrap_or_default()
}

fn parsed(name: &str) -> Result<Field<'_>, Problem> {
    Field::parse(name)
        .ok_or_else(|| Problem::argument(format!("there is no field `{name}`; `weights` is one")))
}

fn group_name(group: &Option<String>) -> &str {
    group.as_deref().unwrap_or(DEFAULT_GROUP)
}

/// The options, and where the device comes from.
fn read(options: OptimizerOptions) -> Result<(Options, Opening), JsValue> {
    let options = JsValue::from(options);
    let opening = Reflect::get(&options, &options::OPENING.into())?.unchecked_into();
    Ok((Options::read(options)?, opening))
}

/// The limits that these options need beyond those that every browser offers.
fn needed(options: &Options) -> Result<Vec<(String, f64)>, Problem> {
    let (mut limits, mut needed) = (Limits::default(), vec![]);
    loop {
        match options.builder(None)?.plan(&limits) {
            Err(Error::Limit { limit, needed: least, .. }) if limits.raise(limit, least) => {
                needed.push((camel(limit), least as f64));
            }
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(needed),
        }
    }
}

fn named(placed: &[Placed]) -> Vec<(&str, Slice)> {
    placed.iter().map(|(name, slice)| (name.as_str(), slice.clone())).collect()
}

/// These, with those in their places that have the same name.
fn over(all: &[Placed], moved: &[Placed]) -> Vec<Placed> {
    let new = |name: &String| moved.iter().find(|(other, _)| other == name);
    let others = moved.iter().filter(|(name, _)| !all.iter().any(|(other, _)| other == name));
    all.iter().map(|placed| new(&placed.0).unwrap_or(placed)).chain(others).cloned().collect()
}

fn object<const N: usize>(fields: [(&str, JsValue); N]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        // An object made here is not frozen.
        let _ = Reflect::set(&object, &name.into(), &value);
    }
    object.into()
}
