//! The four tables of an adapter.

use std::time::Instant;

use indicatif::ProgressBar;
use lookahead_wgpu::{
    AdaptiveAlpha, Average, Clip, Guard, Half, Lookahead, Optimizer, Options, Rule,
    StatePolicy::{Interpolate, Reset},
    alpha::GradientAt,
    autotune,
    gpu::Gpu,
    outer::Nesterov,
    rules::Adam,
};

use crate::{
    Failure, Sizes, floor, host,
    measure::{Effort, Samples},
    report::{Adapter, Autotuned, HostRow, StepRow, SyncRow, TensorsRow},
    resnet50,
    statistics::median,
    workload::{Copy, K, Subject, lookahead, rules},
};

/// Tensors and groups of the host's table.
const HOST: [(usize, usize); 3] = [(1, 1), (161, 1), (161, 8)];

/// What is measured on each adapter: the rows whose names contain a text.
pub struct Rows<'a> {
    pub only: &'a str,
}

impl Rows<'_> {
    fn has(&self, name: &str) -> bool {
        name.contains(self.only)
    }

    /// How many.
    pub fn count(&self) -> usize {
        let names = Variant::all().into_iter().map(|variant| variant.name);
        let names = names.chain(rules().into_iter().map(|(name, _)| added_to(name)));
        let names = names.chain(options().into_iter().map(|(name, _)| name.to_owned()));
        let others = [COPY_KERNEL, AUTOTUNE].into_iter().chain(HOST.map(|_| RECORDING));
        let others = others.chain(networks(1).map(|(network, _)| network));
        names.chain(others.map(str::to_owned)).filter(|name| self.has(name)).count()
    }
}

const COPY_KERNEL: &str = "copy kernel";
const RECORDING: &str = "recording";
const AUTOTUNE: &str = "autotune";
/// Each tensor's weights and gradients are in buffers of the caller's, as another library allocates them.
const APART: &str = "ResNet-50, buffers apart";

fn added_to(rule: &str) -> String {
    format!("what Lookahead adds to {rule}")
}

impl Adapter {
    /// Fills all tables.
    pub fn measure(
        gpu: &Gpu,
        rows: &Rows<'_>,
        sizes: &Sizes,
        effort: &Effort,
        bar: &ProgressBar,
    ) -> Result<Self, Failure> {
        let mut adapter = Self::of(gpu);
        let begin = |what: &str| {
            let has = rows.has(what);
            if has {
                bar.set_message(format!("{}: {what}", gpu.info.name));
                bar.inc(1);
            }
            has
        };
        if begin(COPY_KERNEL) {
            let mut kernel = Subject::copy_kernel(gpu, sizes.rules)?;
            adapter.steps.push(step_row(gpu, COPY_KERNEL.to_owned(), &mut kernel, effort)?);
        }
        for variant in Variant::all() {
            if begin(&variant.name) {
                adapter.steps.push(step(gpu, variant, sizes.rules, effort)?);
            }
        }
        for ((name, alone), (_, wrapped)) in rules().into_iter().zip(rules()) {
            if begin(&added_to(name)) {
                let parameters = if name == "adam" { sizes.adam_ratio } else { sizes.rules };
                adapter.sync.push(sync(gpu, name, [alone, wrapped], parameters, effort)?);
            }
        }
        for (name, options) in options() {
            if begin(name) {
                adapter.options.push(option(gpu, name, options, sizes.rules, effort)?);
            }
        }
        for (network, shapes) in networks(sizes.width) {
            if begin(network) {
                adapter.tensors.push(tensors(gpu, network, &shapes, effort)?);
            }
        }
        for (tensors, groups) in HOST {
            if begin(RECORDING) {
                let times = host::measure(gpu, tensors, groups, effort)?;
                let (record_us, finish_us, submit_us) = (times.record, times.finish, times.submit);
                adapter.host.push(HostRow { tensors, groups, record_us, finish_us, submit_us });
            }
        }
        if begin(AUTOTUNE) {
            let begin = Instant::now();
            let shape = autotune(&gpu.device, &gpu.queue)?;
            adapter.autotuned = Some(Autotuned { shape, seconds: begin.elapsed().as_secs_f64() });
        }
        Ok(adapter)
    }

    /// Empty tables.
    fn of(gpu: &Gpu) -> Self {
        Self {
            name: gpu.info.name.clone(),
            backend: gpu.info.backend.to_string(),
            driver: format!("{} {}", gpu.info.driver, gpu.info.driver_info),
            label: gpu.label(),
            steps: vec![],
            sync: vec![],
            options: vec![],
            tensors: vec![],
            host: vec![],
            autotuned: None,
        }
    }
}

/// A row of the table of rules, to be measured.
struct Variant {
    name: String,
    rule: Box<dyn Rule>,
    lookahead: Option<Lookahead>,
    clip: Clip,
    /// Weights and gradients are in one buffer of the caller's, so many values behind a multiple of four.
    pooled: Option<usize>,
}

impl Variant {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for ((name, rule), (_, wrapped)) in rules().into_iter().zip(rules()) {
            all.push(Self::new(name.to_owned(), rule, None));
            all.push(Self::new(format!("lookahead({name})"), wrapped, Some(lookahead())));
        }
        let adam = |lookahead, addition| {
            Self::new(format!("lookahead(adam){addition}"), Box::new(Adam::default()), Some(lookahead))
        };
        all.push(adam(lookahead().policy(Interpolate), ", interpolate"));
        all.push(adam(lookahead().policy(Reset), ", reset"));
        all.push(Self { pooled: Some(0), ..adam(lookahead(), ", borrowed") });
        all.push(Self { pooled: Some(1), ..adam(lookahead(), ", borrowed askew") });
        all.push(Self { clip: Clip::GlobalNorm(1.0), ..adam(lookahead(), ", norm clip") });
        all
    }

    fn new(name: String, rule: Box<dyn Rule>, lookahead: Option<Lookahead>) -> Self {
        Self { name, rule, lookahead, clip: Clip::None, pooled: None }
    }
}

/// A matrix of so many values: it has rows to be centralised, and is factored by AdaFactor.
fn shape(parameters: usize) -> [usize; 2] {
    let columns = [1024, 256, 1].into_iter().find(|columns| parameters.is_multiple_of(*columns));
    let columns = columns.unwrap_or(1);
    [parameters / columns, columns]
}

fn step(gpu: &Gpu, variant: Variant, parameters: usize, effort: &Effort) -> Result<StepRow, Failure> {
    let mut builder = Optimizer::builder(variant.rule).clip(variant.clip);
    if let Some(lookahead) = variant.lookahead {
        builder = builder.lookahead(lookahead);
    }
    let mut subject = match variant.pooled {
        Some(behind) => Subject::pooled(gpu, builder, parameters, behind)?,
        None => Subject::owned(gpu, builder.tensor("w", &shape(parameters)))?,
    };
    // A norm is one dispatch more for each of the step's, and one that adds up.
    if !matches!(variant.clip, Clip::None) {
        subject.dispatches = 2 * subject.dispatches + 1;
    }
    step_row(gpu, variant.name, &mut subject, effort)
}

fn step_row(gpu: &Gpu, name: String, subject: &mut Subject, effort: &Effort) -> Result<StepRow, Failure> {
    let mut copy = Copy::new(gpu, subject.bytes)?;
    let parameters = subject.parameters as usize;
    let [step, last] = subject.streams;
    let mut floor = floor::cycle(gpu, parameters, step, last)?;
    let samples = Samples::measure(gpu, &mut [&mut subject.work, &mut copy.work, &mut floor.work], effort)?;
    let seconds = |work: usize| median(&samples.of[work]) / f64::from(K);
    Ok(StepRow {
        optimizer: name,
        parameters: subject.parameters,
        tensors: subject.tensors,
        dispatches: subject.dispatches,
        bytes: subject.bytes,
        step_ms: seconds(0) * 1e3,
        gb_per_s: subject.bytes / seconds(0) / 1e9,
        copy_gb_per_s: copy.bytes / seconds(1) / 1e9,
        of_copy: samples.ratio(1, 0) * subject.bytes / copy.bytes,
        floor_ms: seconds(2) * 1e3 * subject.bytes / floor.bytes,
        // Whole streams are moved: a table of half-width values is a part of one.
        over_floor: samples.ratio(0, 2) * floor.bytes / subject.bytes,
        spread: samples.spread(0, 2),
        samples: samples.of[0].len(),
    })
}

fn sync(
    gpu: &Gpu,
    name: &str,
    [alone, wrapped]: [Box<dyn Rule>; 2],
    parameters: usize,
    effort: &Effort,
) -> Result<SyncRow, Failure> {
    let rule = name.to_owned();
    let shape = shape(parameters);
    let mut alone = Subject::owned(gpu, Optimizer::builder(alone).tensor("w", &shape))?;
    let wrapped = Optimizer::builder(wrapped).lookahead(lookahead()).tensor("w", &shape);
    let mut wrapped = Subject::owned(gpu, wrapped)?;
    let samples = Samples::measure(gpu, &mut [&mut alone.work, &mut wrapped.work], effort)?;
    Ok(SyncRow {
        rule,
        parameters: alone.parameters,
        alone_ms: median(&samples.of[0]) / f64::from(K) * 1e3,
        lookahead_ms: median(&samples.of[1]) / f64::from(K) * 1e3,
        bytes_ratio: wrapped.bytes / alone.bytes,
        ratio: samples.ratio(1, 0),
        spread: samples.spread(1, 0),
        samples: samples.of[0].len(),
    })
}

/// What can be had around a rule, one by one.
fn options() -> Vec<(&'static str, Options)> {
    let none = Options::default;
    let adaptive = AdaptiveAlpha::new(0.1);
    vec![
        ("adaptive alpha", none().adaptive(adaptive)),
        ("the same, last gradient", {
            let adaptive = adaptive.gradient(GradientAt::LastStep);
            none().adaptive(adaptive)
        }),
        ("outer Nesterov", none().outer(Nesterov::default())),
        ("average (EMA)", none().average(Average::Ema { decay: 0.99 })),
        ("guard", none().guard(Guard::default())),
        ("guard that checks updates", none().guard(Guard::default().check_updates())),
        ("gradient norms", none().gradient_norms(true)),
        ("centralised gradients", none().centralise(true)),
        ("f16 copy of the weights", none().half_weights(Half::F16)),
        ("f16 gradients", none().half_gradients(Half::F16)),
        ("bf16 gradients", none().half_gradients(Half::Bf16)),
        ("bf16 slow weights", none().slow_bf16(true)),
    ]
}

/// lookahead(adam) with an option against it without.
fn option(
    gpu: &Gpu,
    name: &'static str,
    options: Options,
    parameters: usize,
    effort: &Effort,
) -> Result<SyncRow, Failure> {
    let shape = shape(parameters);
    let builder = || Optimizer::builder(Adam::default()).lookahead(lookahead()).tensor("w", &shape);
    let mut plain = Subject::owned(gpu, builder())?;
    let mut with = Subject::with(gpu, builder(), options)?;
    let samples = Samples::measure(gpu, &mut [&mut plain.work, &mut with.work], effort)?;
    Ok(SyncRow {
        rule: name.to_owned(),
        parameters: plain.parameters,
        alone_ms: median(&samples.of[0]) / f64::from(K) * 1e3,
        lookahead_ms: median(&samples.of[1]) / f64::from(K) * 1e3,
        bytes_ratio: with.bytes / plain.bytes,
        ratio: samples.ratio(1, 0),
        spread: samples.spread(1, 0),
        samples: samples.of[0].len(),
    })
}

/// Networks of many tensors: names and shapes.
fn networks(width: usize) -> [(&'static str, resnet50::Tensors); 3] {
    // Little to move: what a dispatch and a submission cost stands out.
    let layer = |index: usize| {
        let weight = if index < 6 { vec![320, 320] } else { vec![320, 348] };
        [(format!("{index}.weight"), weight), (format!("{index}.bias"), vec![320])]
    };
    [
        ("ResNet-50", resnet50::tensors(width)),
        (APART, resnet50::tensors(width)),
        ("small network", (0..10).flat_map(layer).collect()),
    ]
}

/// lookahead(adam) over the tensors of a network, against one of as many values, and against the floor.
fn tensors(
    gpu: &Gpu,
    network: &'static str,
    shapes: &[(String, Vec<usize>)],
    effort: &Effort,
) -> Result<TensorsRow, Failure> {
    let builder = || Optimizer::builder(Adam::default()).lookahead(lookahead());
    let values = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let mut many = if network == APART {
        Subject::apart(gpu, builder(), shapes)?
    } else {
        let owned = shapes.iter().fold(builder(), |builder, (name, shape)| builder.tensor(name, shape));
        Subject::owned(gpu, owned)?
    };
    let mut one = Subject::owned(gpu, builder().tensor("w", &[values]))?;
    let [step, last] = many.streams;
    let mut floor = floor::cycle(gpu, values, step, last)?;
    let samples = Samples::measure(gpu, &mut [&mut one.work, &mut many.work, &mut floor.work], effort)?;
    Ok(TensorsRow {
        network,
        parameters: many.parameters,
        tensors: many.tensors,
        one_dispatches: one.dispatches,
        many_dispatches: many.dispatches,
        one_ms: median(&samples.of[0]) / f64::from(K) * 1e3,
        many_ms: median(&samples.of[1]) / f64::from(K) * 1e3,
        ratio: samples.ratio(1, 0),
        over_floor: samples.ratio(1, 2) * floor.bytes / many.bytes,
        spread: samples.spread(1, 0),
        samples: samples.of[0].len(),
    })
}
