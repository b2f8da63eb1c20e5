//! Setters that are given what they cannot take.

use lookahead_wgpu::{
    AdaptiveAlpha, DEFAULT_GROUP, Error, Group, Guard, Lookahead, Optimizer, Options, Schedule, StatePolicy,
    rules::{AdaFactor, Adam, AdamW, Lars, RmsProp, Sgd, Slot},
};

use super::{
    Noop, check,
    rules::{Broken, RIGHT},
};

#[test]
fn rules_for_which_other_kernels_would_be_needed() {
    let noop = Noop::new();
    let adam = || noop.build(Optimizer::builder(Adam::new(0.1)).tensor("w", &[3]));
    let refused = |optimizer: &mut Optimizer, outcome: Result<(), Error>, told: &[&str]| {
        check(outcome.unwrap_err(), "Rule", &[told, &["build a new optimizer"]].concat());
        assert_eq!(optimizer.base_learning_rate(DEFAULT_GROUP), Ok(0.1));
    };
    let mut it = adam();
    let outcome = it.set_rule(DEFAULT_GROUP, AdamW::new(0.2));
    refused(&mut it, outcome, &["the rule `adamw` is another than the group's, `adam`"]);
    let outcome = it.set_rule(DEFAULT_GROUP, Adam::new(0.2).amsgrad(true));
    refused(&mut it, outcome, &["`amsgrad`"]);
    let mut it = noop.build(Optimizer::builder(Sgd::new(0.1).momentum(0.9)).tensor("w", &[3]));
    let outcome = it.set_rule(DEFAULT_GROUP, Sgd::new(0.2));
    refused(&mut it, outcome, &["`sgd` is another than the group's, `heavy_ball`"]);
    let mut it = noop.build(Optimizer::builder(Lars::new(0.1)).tensor("w", &[3]));
    let outcome = it.set_rule(DEFAULT_GROUP, Lars::new(0.2).trust_coefficient(0.5));
    refused(&mut it, outcome, &["coefficient: 0.5", "coefficient: 0.001"]);
    let mut it = noop.build(Optimizer::builder(AdaFactor::new(0.1)).tensor("w", &[3]));
    let outcome = it.set_rule(DEFAULT_GROUP, AdaFactor::new(0.2).momentum(0.5));
    refused(&mut it, outcome, &["has the slots [\"exp_avg\"], and had []"]);
    let outcome = it.set_rule(DEFAULT_GROUP, AdaFactor::new(0.2).eps(1e-20));
    refused(&mut it, outcome, &["eps: 1e-20", "eps: 1e-30"]);
    it.set_rule(DEFAULT_GROUP, AdaFactor::new(0.1).decay_rate(0.5)).unwrap();
    let mut it = noop.build(Optimizer::builder(Broken::new(RIGHT)).tensor("w", &[3]));
    let other = Broken {
        wgsl: "struct Hyper { lr: f32 }\nfn update(w: vec4f, g: vec4f) -> vec4f { return w; }",
        ..Broken::new(RIGHT)
    };
    let outcome = it.set_rule(DEFAULT_GROUP, other);
    refused(&mut it, outcome, &["`broken` has another WGSL text"]);
    let outcome = it.set_rule(DEFAULT_GROUP, Broken { slots: vec![Slot::zero("v")], ..Broken::new(RIGHT) });
    refused(&mut it, outcome, &["has the slots [\"v\"], and had [\"m\"]"]);
    it.set_rule(DEFAULT_GROUP, Broken { hyper: vec![0.3], ..Broken::new(RIGHT) }).unwrap();
}

#[test]
fn values_outside_their_ranges() {
    let noop = Noop::new();
    let mut it = noop.build(Optimizer::builder(RmsProp::new(0.1)).guard(Guard::default()).tensor("w", &[3]));
    let before = it.export_blocking().unwrap();
    let outcome = it.set_rule(DEFAULT_GROUP, RmsProp::new(0.1).alpha(1.5));
    check(outcome.unwrap_err(), "Hyperparameter", &["alpha = 1.5"]);
    check(it.set_rule(DEFAULT_GROUP, RmsProp::new(-1.0)).unwrap_err(), "Hyperparameter", &["lr = -1"]);
    for decay in [-0.1, f64::NAN, f64::INFINITY, 1e300] {
        let outcome = it.set_weight_decay(DEFAULT_GROUP, decay);
        check(outcome.unwrap_err(), "Hyperparameter", &["weight_decay = "]);
    }
    check(it.set_schedule(Schedule::cosine(3, 2, 0.0)).unwrap_err(), "Hyperparameter", &["cosine total = 2"]);
    noop.step(&mut it).unwrap();
    // With a guard the steps before may yet be taken.
    let outcome = it.set_schedule(Schedule::custom(|step| if step == 0 { f64::NAN } else { 1.0 }));
    check(outcome.unwrap_err(), "LearningRate", &["step 0", "NaN"]);
    let name = "no such group";
    let unknown = |error: Error| check(error, "UnknownName", &["`no such group`", "`default`"]);
    unknown(it.set_rule(name, RmsProp::new(0.1)).unwrap_err());
    unknown(it.set_weight_decay(name, 0.1).unwrap_err());
    unknown(it.is_frozen(name).unwrap_err());
    unknown(it.weight_decay(name).unwrap_err());
    unknown(it.base_learning_rate(name).unwrap_err());
    unknown(it.learning_rate_factor(name).unwrap_err());
    unknown(it.rule(name).map(|_| ()).unwrap_err());
    let after = it.export_blocking().unwrap();
    assert_eq!(
        (&after.groups[0].weight_decay, &after.schedule),
        (&before.groups[0].weight_decay, &before.schedule)
    );
    assert_eq!(after.groups[0].hyperparameters, before.groups[0].hyperparameters);
}

/// A coefficient that is in tables of the kernels cannot come back into an optimizer that was built with another.
#[test]
fn hyperparameters_that_are_built_in() {
    use lookahead_wgpu::ImportOptions;
    let noop = Noop::new();
    let lars =
        |coefficient| Optimizer::builder(Lars::new(0.1).trust_coefficient(coefficient)).tensor("w", &[3]);
    let snapshot = noop.build(lars(0.5)).export_blocking().unwrap();
    let mut other = noop.build(lars(0.25));
    let told =
        ["trust_coefficient = 0.5", "build a new optimizer, with these hyperparameters", "keep_settings"];
    check(other.import(&snapshot).unwrap_err(), "Snapshot", &told);
    other.import_with(&snapshot, ImportOptions::new().keep_settings()).unwrap();
    noop.build(lars(0.5)).import(&snapshot).unwrap();
}

/// What a guard counts in cycles must not change under it.
#[test]
fn a_guard_that_counts_in_cycles_refuses_what_would_break_them() {
    let noop = Noop::new();
    let reset = Lookahead::default().policy(StatePolicy::Reset);
    let adaptive = Some(AdaptiveAlpha::new(0.1));
    for (lookahead, options) in
        [(reset, Options::default()), (Lookahead::default(), Options::default().adaptive(adaptive))]
    {
        let builder =
            Optimizer::builder(Adam::new(0.01)).lookahead(lookahead).options(options).guard(Guard::default());
        let builder = builder.group(Group::new("head").rule(Sgd::new(0.03))).tensor("a", &[5]).tensor_in(
            "head",
            "b",
            &[3],
        );
        let mut optimizer = noop.build(builder);
        assert!(matches!(optimizer.set_k("default", 2), Err(Error::Guarded { call: "set_k" })));
        assert!(matches!(optimizer.set_frozen("head", true), Err(Error::Guarded { call: "set_frozen" })));
    }
}
