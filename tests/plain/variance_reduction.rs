//! Variance reduction, as far as no device is needed: what goes with it, when the full gradient is due, what it takes.

use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Builder, DEFAULT_GROUP, Error, Field, Group, Guard, ImportOptions, Limits,
    Lookahead, LossScale, Optimizer, Options, Rule, StatePolicy,
    alpha::{Curvature, GradientAt},
    kernels::{self, Access, Recipe, Tensors},
    rules::{Katyusha, Sgd, Slot, Step},
    wgpu::{CommandEncoder, Device, DeviceDescriptor, Queue},
};

struct Training {
    device: Device,
    queue: Queue,
    optimizer: Optimizer,
}

impl Training {
    fn new(builder: Builder) -> Self {
        let (device, queue) = Device::noop(&DeviceDescriptor::default());
        let optimizer = builder.build_blocking(&device, &queue).unwrap();
        Self { device, queue, optimizer }
    }

    fn record<T>(
        &mut self,
        record: impl FnOnce(&mut Optimizer, &mut CommandEncoder) -> Result<T, Error>,
    ) -> T {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let result = record(&mut self.optimizer, &mut encoder).unwrap();
        self.queue.submit([encoder.finish()]);
        result
    }

    /// Whether the full gradient is due before each of so many calls of `step`.
    fn due(&mut self, calls: usize) -> Vec<bool> {
        let call = |_| {
            let due = self.is_due();
            self.record(|optimizer, encoder| optimizer.step(encoder));
            due
        };
        (0..calls).map(call).collect()
    }

    fn is_due(&self) -> bool {
        self.optimizer.full_gradients_due().unwrap()
    }
}

fn svrg(k: u32) -> Builder {
    Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::new(k, 1.0)).variance_reduced().tensor("w", &[3])
}

// Faults: due at the first step alone; due at the last step of a cycle.
#[test]
fn the_full_gradient_is_due_at_the_start_of_each_cycle() {
    assert_eq!(Training::new(svrg(3)).due(7), [true, false, false, true, false, false, true]);
    assert_eq!(Training::new(svrg(1)).due(3), [true; 3]);
}

// Fault: a sync by a dispatch of its own is overlooked.
#[test]
fn it_is_due_after_the_sync_of_an_adaptive_alpha() {
    let due = |gradient| {
        let adaptive = AdaptiveAlpha::new(0.1).curvature(Curvature::Fisher { decay: 0.9 }).gradient(gradient);
        Training::new(svrg(2).adaptive(adaptive)).due(5)
    };
    assert_eq!(due(GradientAt::LastStep), [true, false, true, false, true]);
    assert_eq!(due(GradientAt::Synchronised), [true, false, false, true, false]);
}

#[test]
fn micro_batches_of_a_step_share_a_full_gradient() {
    let mut training = Training::new(svrg(2).accumulate(Accumulation::mean(2)));
    assert_eq!(training.due(6), [true, false, false, false, true, false]);
    // What was forgotten had no step.
    training.optimizer.discard();
    assert!(!training.is_due());
    let mut training = Training::new(svrg(2).accumulate(Accumulation::mean(2)));
    training.due(1);
    // What was written holds.
    training.optimizer.discard();
    assert!(!training.is_due());
    // Slow weights may move between two micro-batches.
    assert_eq!(training.due(3), [false; 3]);
    training.record(|optimizer, encoder| optimizer.sync_now(encoder));
    assert_eq!(training.due(2), [true, false]);
}

/// The snapshot is the slow weights of all groups.
#[test]
fn a_sync_of_any_group_makes_it_due() {
    let builder = svrg(3).group(Group::new("head").k(2)).tensor_in("head", "v", &[2]);
    let mut training = Training::new(builder);
    assert_eq!(training.due(7), [true, false, true, true, true, false, true]);
    // A frozen group moves no more once its cycle has ended.
    training.optimizer.set_frozen("head", true).unwrap();
    assert_eq!(training.due(6), [false, true, true, false, false, true]);
}

#[test]
fn whatever_else_moves_the_slow_weights_makes_it_due() {
    let mut training = Training::new(svrg(3));
    training.due(2);
    training.record(|optimizer, encoder| optimizer.sync_now(encoder));
    assert_eq!(training.due(2), [true, false]);
    training.record(|optimizer, encoder| optimizer.init_synced(encoder));
    assert_eq!(training.due(3), [true, false, false]);
    // At the start of a cycle nothing moves.
    assert!(training.is_due());
    training.due(1);
    training.record(|optimizer, encoder| optimizer.swap_slow(encoder));
    training.record(|optimizer, encoder| optimizer.swap_slow(encoder));
    assert!(!training.is_due());
}

// Fault: weights that are set or read from a file between two micro-batches of the first step leave it as it was.
#[test]
fn new_weights_make_it_due_where_the_slow_ones_follow() {
    let mut training = Training::new(svrg(2).accumulate(Accumulation::mean(2)));
    let file = training.optimizer.export_weights_blocking(Field::Weights).unwrap();
    assert_eq!(training.due(1), [true]);
    assert!(!training.is_due());
    training.optimizer.upload("w", &[1.0; 3]).unwrap();
    assert_eq!(training.due(1), [true]);
    let mut training = Training::new(svrg(2).accumulate(Accumulation::mean(2)));
    training.due(1);
    training.optimizer.import_weights(&file).unwrap();
    assert_eq!(training.due(2), [true, false]);
    // After the first step the slow weights stay where they are.
    training.optimizer.import_weights(&file).unwrap();
    training.optimizer.upload("w", &[1.0; 3]).unwrap();
    assert_eq!(training.due(2), [false, true]);
}

#[test]
fn it_needs_slow_weights_and_no_loss_scale() {
    let plan = |builder: Builder| builder.tensor("w", &[3]).plan(&Limits::default()).map(drop);
    let alone = plan(Optimizer::builder(Sgd::new(0.1)).variance_reduced()).unwrap_err();
    assert_eq!(alone, Error::NoLookahead { of: "variance reduction".to_owned() });
    let around = || Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::default()).variance_reduced();
    let scaled = plan(around().guard(Guard::loss_scale(LossScale::default()))).unwrap_err();
    assert!(matches!(scaled, Error::Unsupported { call: "variance reduction", .. }), "{scaled:?}");
    assert!(scaled.to_string().contains("take a guard without it"), "{scaled}");
    plan(around().guard(Guard::default().check_updates())).unwrap();
    let (device, queue) = Device::noop(&DeviceDescriptor::default());
    let guarded = around().guard(Guard::default()).tensor("w", &[3]).build_blocking(&device, &queue).unwrap();
    assert_eq!(guarded.full_gradients_due(), Err(Error::Guarded { call: "full_gradients_due" }));
    let rule = Optimizer::builder(Sgd::new(0.1)).tensor("w", &[3]).build_blocking(&device, &queue).unwrap();
    assert!(matches!(rule.full_gradients_due(), Err(Error::NoLookahead { .. })));
    for field in [Field::SnapshotGradients, Field::FullGradients] {
        assert!(matches!(rule.buffer(field, "w"), Err(Error::UnknownName { .. })));
        assert_eq!(Field::parse(&field.to_string()), Some(field));
    }
}

/// Within a step the sum of its micro-batches is of gradients of one kind.
#[test]
fn it_begins_and_ends_between_steps() {
    let plain = || Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::new(3, 1.0)).tensor("w", &[3]);
    let accumulate = |builder: Builder| Training::new(builder.accumulate(Accumulation::mean(2)));
    let options = ImportOptions::new().begin_variance_reduction().end_variance_reduction();
    let pairs: [[fn() -> Builder; 2]; 2] = [[plain, || svrg(3)], [|| svrg(3), plain]];
    for [from, to] in pairs {
        let (mut from, mut to) = (accumulate(from()), accumulate(to()));
        from.record(|optimizer, encoder| optimizer.step(encoder));
        let within = from.optimizer.export_blocking().unwrap();
        let refused = to.optimizer.import_with(&within, options).unwrap_err().to_string();
        assert!(refused.contains("accumulated in it whose gradients were corrected otherwise"), "{refused}");
        from.record(|optimizer, encoder| optimizer.step(encoder));
        to.optimizer.import_with(&from.optimizer.export_blocking().unwrap(), options).unwrap();
    }
}

/// Two planes, read with each gradient.
#[test]
fn memory_and_traffic_count_it() {
    let plan = |options: Options| {
        let builder = Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::default()).options(options);
        builder.tensor("w", &[1000, 10]).plan(&Limits::default()).unwrap()
    };
    let bytes = 4 * 10_000;
    let rounded = 4 * 10_112;
    for (options, readings) in [
        (Options::default(), 1),
        (Options::default().gradient_norms(true), 2),
        (Options::default().gradient_norms(true).centralise(true), 3),
        (Options::default().accumulate(Accumulation::mean(3)), 3),
    ] {
        let (without, with) = (plan(options.clone()), plan(options.variance_reduced(true)));
        let (memory, before) = (with.memory(), without.memory());
        assert_eq!((memory.variance_reduction, before.variance_reduction), (2 * rounded, 0));
        assert_eq!(memory.total(), before.total() + 2 * rounded);
        assert!(memory.to_string().contains("reduction"), "{memory}");
        assert_eq!(with.traffic().step, without.traffic().step + 2 * readings * bytes);
        assert_eq!(with.traffic().sync, without.traffic().sync);
    }
}

/// Who does not ask for it has the kernels that there were.
#[test]
fn only_kernels_that_take_gradients_have_it() {
    let (rule, lookahead) = (Sgd::new(0.1).momentum(0.9), Lookahead::default());
    let sources = |options: &Options, lookahead: Option<&Lookahead>| {
        let (access, shape, tensors) = (Access::Owned, Default::default(), Tensors::default());
        Recipe { rule: &rule, lookahead, options, access, shape, tensors }.sources()
    };
    let (plain, reduced) = (Options::default().gradient_norms(true), Options::default().gradient_norms(true));
    let reduced = reduced.variance_reduced(true);
    let texts = |options: &Options| sources(options, Some(&lookahead));
    assert!(texts(&plain).iter().all(|source| !source.wgsl.contains("LA_FULL_GRADIENTS_AT")));
    let of = |entry: &str| texts(&reduced).into_iter().find(|source| source.entry == entry).unwrap().wgsl;
    for entry in ["la_step", "la_partial"] {
        assert!(of(entry).contains("la_planes[la_plane(LA_FULL_GRADIENTS_AT, i)]"), "{entry}");
    }
}

/// A rule whose steps read the slow weights needs them, and says itself what a sync does.
#[test]
fn what_katyusha_goes_with() {
    let katyusha = || Optimizer::builder(Katyusha::new(0.1)).tensor("w", &[3]);
    let refused = |builder: Builder| builder.plan(&Limits::default()).map(drop).unwrap_err();
    let told = |error: Error, word: &str| assert!(error.to_string().contains(word), "{error}");
    let alone = refused(katyusha());
    assert!(matches!(alone, Error::NoLookahead { .. }), "{alone:?}");
    told(alone, "the rule `katyusha`");
    for policy in [StatePolicy::Interpolate, StatePolicy::Reset] {
        told(refused(katyusha().lookahead(Lookahead::new(5, 1.0).policy(policy))), "take Maintain");
    }
    let around = || katyusha().lookahead(Lookahead::new(5, 1.0));
    told(refused(around().adaptive(AdaptiveAlpha::new(0.1))), "no adaptive alpha");
    told(refused(around().guard(Guard::default().check_updates())), "leave `check_updates` out");
    for (rule, told_of) in [
        (Katyusha::new(0.1).tau1(0.0), "tau1 = 0"),
        (Katyusha::new(0.1).tau1(0.7).tau2(0.4), "tau2 = 0.4"),
        (Katyusha::new(0.1).sigma(-1.0), "sigma = -1"),
    ] {
        let builder = Optimizer::builder(rule).lookahead(Lookahead::new(5, 1.0)).tensor("w", &[3]);
        told(refused(builder), told_of);
    }
    let plan = around().variance_reduced().plan(&Limits::default()).unwrap();
    // Weights and three slots are read and written, three gradients and the slow weights are read.
    assert_eq!(plan.traffic().step, 3 * 4 * (2 + 6 + 3 + 1));
    assert_eq!(plan.traffic().sync, 3 * 4);
}

/// A rule of a user's, which may lack what a sync calls, and that reads the slow weights or does not.
#[derive(Debug)]
struct Own(&'static str, bool);

impl Rule for Own {
    fn name(&self) -> &str {
        "own"
    }
    fn wgsl(&self) -> &str {
        self.0
    }
    fn slots(&self) -> Vec<Slot> {
        vec![]
    }
    fn learning_rate(&self) -> f64 {
        0.1
    }
    fn hyper(&self, _: u64, _: &mut Vec<f32>) {}
    fn update(&self, step: &Step, weight: f64, gradient: f64, _: &mut [f64]) -> f64 {
        weight - step.learning_rate * gradient + step.anchor
    }
    fn anchored(&self) -> bool {
        self.1
    }
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn an_anchored_rule_of_ones_own() {
    const UPDATE: &str =
        "fn update(w: vec4f, g: vec4f) -> vec4f { return w - control.lr * g + la_anchor; }\n";
    const SNAPSHOT: &str = "fn snapshot() -> vec4f { return la_anchor; }\n";
    const SHIFTED: &str = "fn shifted(w: vec4f, before: vec4f, after: vec4f) -> vec4f { return after; }\n";
    let check = |parts: &[&str]| kernels::check(&Own(parts.concat().leak(), true));
    check(&[UPDATE, SNAPSHOT, SHIFTED]).unwrap();
    let lacking = check(&[UPDATE, SHIFTED]).unwrap_err().to_string();
    assert!(lacking.contains("has no `fn snapshot() -> vec4f` in its WGSL"), "{lacking}");
    let lacking = check(&[UPDATE, SNAPSHOT]).unwrap_err().to_string();
    assert!(
        lacking.contains("has no `fn shifted(w: vec4f, before: vec4f, after: vec4f) -> vec4f`"),
        "{lacking}"
    );
    // Kernels that read the slow weights are none of a rule that does not.
    const PLAIN: &str = "fn update(w: vec4f, g: vec4f) -> vec4f { return w - control.lr * g; }\n";
    const NONE: &str = "fn snapshot() -> vec4f { return vec4f(); }\n";
    let own = |anchored| Own([PLAIN, NONE, SHIFTED].concat().leak(), anchored);
    let builder = Optimizer::builder(own(true)).lookahead(Lookahead::new(5, 1.0)).tensor("w", &[3]);
    let mut training = Training::new(builder);
    training.optimizer.set_rule(DEFAULT_GROUP, own(true)).unwrap();
    let refused = training.optimizer.set_rule(DEFAULT_GROUP, own(false)).unwrap_err();
    assert!(matches!(refused, Error::Rule { .. }), "{refused:?}");
    assert!(refused.to_string().contains("reads the slow weights and did not, or did"), "{refused}");
}

// Faults: a learning rate of 1/L; an import that swaps tau1 and tau2.
#[test]
fn katyushas_constants_are_the_papers_and_come_back() {
    let of = |m| Katyusha::of(2.0, 0.03, m);
    assert_eq!((of(8).lr, of(8).tau1, of(8).tau2, of(8).sigma), (1.0 / 6.0, 0.04f64.sqrt(), 0.5, 0.03));
    assert_eq!(of(800).tau1, 0.5);
    let rule = Katyusha::new(0.1).tau1(0.25).tau2(0.625).sigma(0.5);
    let values = rule.hyperparameters();
    let value = |name: &str| values.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
    let again = Katyusha::new(0.1).with_hyperparameters(&value).unwrap();
    assert_eq!(again.hyperparameters(), values);
    let mut told = vec![];
    again.hyper(2, &mut told);
    assert_eq!(told, [0.25, 0.625, 0.125, 4.0, 0.5, 1.0]);
}
