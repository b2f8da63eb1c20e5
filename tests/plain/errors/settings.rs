//! Hyperparameters, at the start and while training.

use lookahead_wgpu::{
    AdaptiveAlpha, Anderson, Average, Builder, Clip, Error, Group, Lookahead, Optimizer, Rule, Schedule,
    StatePolicy,
    outer::{HeavyBall, Nesterov, SlowMo},
    rules::{
        AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Katyusha, Lamb, Lars, Lion, NAdam,
        RAdam, Ranger, RmsProp, Sgd,
    },
};

use super::{Noop, check, lookahead, sgd};

#[test]
fn k_and_alpha_outside_their_ranges() {
    let noop = Noop::new();
    check(noop.refuse(lookahead(0, 0.5)), "Hyperparameter", &["k = 0", "at least 1"]);
    for alpha in [0.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
        let told = format!("alpha = {alpha} is not allowed");
        check(noop.refuse(lookahead(5, alpha)), "Hyperparameter", &[&told, "in (0, 1]"]);
        let group = lookahead(5, 0.5).group(Group::new("head").alpha(alpha));
        check(noop.refuse(group), "Hyperparameter", &[&told]);
    }
    let group = lookahead(5, 0.5).group(Group::new("head").k(0));
    check(noop.refuse(group), "Hyperparameter", &["k = 0"]);
    noop.build(lookahead(1, 1.0));
}

#[test]
fn tasks_that_a_round_cannot_have() {
    let noop = Noop::new();
    let refuse = |lookahead: Lookahead| noop.refuse(sgd().lookahead(lookahead).tensor("w", &[1]));
    check(refuse(Lookahead::default().tasks(0)), "Hyperparameter", &["tasks = 0", "at least 1"]);
    check(refuse(Lookahead::default().tasks(1 << 24)), "Hyperparameter", &["below 2^24"]);
    check(refuse(Lookahead::new(1 << 30, 0.5).tasks(4)), "Hyperparameter", &["tasks = 4", "below 2^32"]);
    let interpolated = Lookahead::default().policy(StatePolicy::Interpolate).tasks(2);
    check(refuse(interpolated), "Hyperparameter", &["tasks = 2", "1 with the policy interpolate"]);
    let adaptive = sgd().lookahead(Lookahead::default().tasks(2)).adaptive(AdaptiveAlpha::new(0.1));
    check(
        noop.refuse(adaptive.tensor("w", &[1])),
        "Hyperparameter",
        &["tasks = 2", "1 with an adaptive alpha"],
    );
    let tasks = |rule: Box<dyn Rule>| {
        Optimizer::builder(rule).lookahead(Lookahead::default().tasks(2)).tensor("w", &[1])
    };
    let accelerated = tasks(Box::new(Sgd::new(0.1))).anderson(Anderson::new(2));
    let reduced = tasks(Box::new(Sgd::new(0.1))).variance_reduced();
    let anchored = tasks(Box::new(Katyusha::of(1.0, 1.0, 2)));
    for (builder, why) in [
        (accelerated, "1 with Anderson acceleration"),
        (reduced, "1 with variance reduction"),
        (anchored, "1 with a rule that reads the slow weights"),
    ] {
        check(noop.refuse(builder), "Hyperparameter", &["tasks = 2", why]);
    }
    noop.build(sgd().lookahead(Lookahead::default().tasks(2)).tensor("w", &[1]));
}

#[test]
fn hyperparameters_of_the_rules_outside_their_ranges() {
    let heavy_ball = Sgd::new(0.1).momentum(0.9);
    let mut refused: Vec<(Box<dyn Rule>, String)> = vec![];
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 1e39] {
        refused.push((Box::new(Sgd::new(bad)), format!("lr = {}", shown(bad))));
        refused.push((Box::new(Adam::new(bad)), format!("lr = {}", shown(bad))));
        refused.push((Box::new(AdamW::new(bad)), format!("lr = {}", shown(bad))));
        refused.push((Box::new(Sgd::new(0.1).momentum(bad)), format!("momentum = {}", shown(bad))));
        refused.push((Box::new(Adam::default().eps(bad)), format!("eps = {}", shown(bad))));
        refused.push((Box::new(Sgd::new(0.1).weight_decay(bad)), format!("weight_decay = {}", shown(bad))));
        refused.push((Box::new(Adam::default().weight_decay(bad)), format!("weight_decay = {}", shown(bad))));
        refused
            .push((Box::new(AdamW::default().weight_decay(bad)), format!("weight_decay = {}", shown(bad))));
    }
    for bad in [f64::NAN, f64::INFINITY, -0.1, 1e39] {
        let mut refuse =
            |rule: Box<dyn Rule>, name: &str| refused.push((rule, format!("{name} = {}", shown(bad))));
        refuse(Box::new(Adagrad::new(bad)), "lr");
        refuse(Box::new(Adagrad::default().lr_decay(bad)), "lr_decay");
        refuse(Box::new(Adagrad::default().initial_accumulator_value(bad)), "initial_accumulator_value");
        refuse(Box::new(Adagrad::default().eps(bad)), "eps");
        refuse(Box::new(Adagrad::default().weight_decay(bad)), "weight_decay");
        refuse(Box::new(RmsProp::new(bad)), "lr");
        refuse(Box::new(RmsProp::default().eps(bad)), "eps");
        refuse(Box::new(RmsProp::default().momentum(bad)), "momentum");
        refuse(Box::new(RmsProp::default().weight_decay(bad)), "weight_decay");
        refuse(Box::new(Adadelta::new(bad)), "lr");
        refuse(Box::new(Adadelta::default().eps(bad)), "eps");
        refuse(Box::new(Adadelta::default().weight_decay(bad)), "weight_decay");
        refuse(Box::new(Adamax::new(bad)), "lr");
        refuse(Box::new(Adamax::default().eps(bad)), "eps");
        refuse(Box::new(Adamax::default().weight_decay(bad)), "weight_decay");
        refuse(Box::new(NAdam::new(bad)), "lr");
        refuse(Box::new(NAdam::default().eps(bad)), "eps");
        refuse(Box::new(NAdam::default().momentum_decay(bad)), "momentum_decay");
        refuse(Box::new(NAdam::default().weight_decay(bad)), "weight_decay");
        refuse(Box::new(RAdam::new(bad)), "lr");
        refuse(Box::new(RAdam::default().eps(bad)), "eps");
        refuse(Box::new(RAdam::default().weight_decay(bad)), "weight_decay");
        refuse(Box::new(Ranger::new(bad)), "lr");
        refuse(Box::new(Ranger::default().eps(bad)), "eps");
        refuse(Box::new(Ranger::default().weight_decay(bad)), "weight_decay");
        refuse(Box::new(AdaBelief::new(bad)), "lr");
        refuse(Box::new(AdaBelief::default().eps(bad)), "eps");
        refuse(Box::new(AdaBelief::default().eps_root(bad)), "eps_root");
        refuse(Box::new(AdaBelief::default().weight_decay(bad)), "weight_decay");
        refuse(Box::new(Lion::new(bad)), "lr");
        refuse(Box::new(Lion::default().weight_decay(bad)), "weight_decay");
        refuse(Box::new(Lars::new(bad)), "lr");
        refuse(Box::new(Lars::new(0.1).momentum(bad)), "momentum");
        refuse(Box::new(Lars::new(0.1).trust_coefficient(bad)), "trust_coefficient");
        refuse(Box::new(Lars::new(0.1).eps(bad)), "eps");
        refuse(Box::new(Lars::new(0.1).weight_decay(bad)), "weight_decay");
        refuse(Box::new(Lamb::new(bad)), "lr");
        refuse(Box::new(Lamb::new(0.1).eps(bad)), "eps");
        refuse(Box::new(Lamb::new(0.1).weight_decay(bad)), "weight_decay");
    }
    refused.push((Box::new(Adadelta::default().eps(0.0)), "eps = 0".to_owned()));
    for bad in [f64::NAN, f64::INFINITY, -0.1, 1.0, 1.1] {
        let mut refuse =
            |rule: Box<dyn Rule>, name: &str| refused.push((rule, format!("{name} = {}", shown(bad))));
        refuse(Box::new(RmsProp::default().alpha(bad)), "alpha");
        refuse(Box::new(Adadelta::default().rho(bad)), "rho");
        refuse(Box::new(Adamax::default().betas(bad, 0.999)), "beta1");
        refuse(Box::new(NAdam::default().betas(0.9, bad)), "beta2");
        refuse(Box::new(RAdam::default().betas(bad, 0.999)), "beta1");
        refuse(Box::new(Ranger::default().betas(0.9, bad)), "beta2");
        refuse(Box::new(AdaBelief::default().betas(bad, 0.999)), "beta1");
        refuse(Box::new(Lion::default().betas(0.9, bad)), "beta2");
        refuse(Box::new(Lamb::new(0.1).betas(bad, 0.999)), "beta1");
    }
    for bad in [f64::NAN, f64::INFINITY, -0.1, 1.0, 1.1] {
        refused.push((Box::new(Adam::default().betas(bad, 0.999)), format!("beta1 = {}", shown(bad))));
        refused.push((Box::new(AdamW::default().betas(0.9, bad)), format!("beta2 = {}", shown(bad))));
    }
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused.push((Box::new(heavy_ball.clone().dampening(bad)), format!("dampening = {}", shown(bad))));
    }
    refused.push((Box::new(Sgd::new(0.1).nesterov(true)), "momentum = 0".to_owned()));
    let nesterov = Lars::new(0.1).momentum(0.0).nesterov(true);
    refused.push((Box::new(nesterov), "momentum = 0".to_owned()));
    refused.push((Box::new(heavy_ball.nesterov(true).dampening(0.5)), "dampening = 0.5".to_owned()));

    let noop = Noop::new();
    for (rule, told) in refused {
        let rule_alone = rule.check().and_then(|()| lookahead_wgpu::kernels::check(&rule));
        check(rule_alone.unwrap_err(), "Hyperparameter", &[&told, "is not allowed: it must be"]);
        check(noop.refuse(Optimizer::builder(rule).tensor("w", &[1])), "Hyperparameter", &[&told]);
    }
}

#[test]
fn settings_of_groups_outside_their_ranges() {
    let noop = Noop::new();
    let refuse = |group: Group| noop.refuse(lookahead(5, 0.5).group(group));
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        let told = format!("weight_decay = {}", shown(bad));
        check(refuse(Group::new("head").weight_decay(bad)), "Hyperparameter", &[&told]);
        let told = format!("learning rate factor = {}", shown(bad));
        check(refuse(Group::new("head").learning_rate_factor(bad)), "Hyperparameter", &[&told]);
    }
    check(refuse(Group::new("head").rule(Sgd::new(-2.0))), "Hyperparameter", &["lr = -2"]);
}

#[test]
fn clipping_bounds_outside_their_range() {
    let noop = Noop::new();
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for clip in [Clip::Value(bad), Clip::GlobalNorm(bad), Clip::TensorNorm(bad)] {
            let told = format!("clip = {}", shown(bad));
            let error = noop.refuse(sgd().tensor("w", &[1]).clip(clip));
            check(error, "Hyperparameter", &[&told, "finite and positive"]);
        }
    }
}

#[test]
fn impossible_schedules() {
    let noop = Noop::new();
    for (schedule, told) in [
        (Schedule::steps([(1, 0.5), (2, f64::NAN)]), "step decay factor = NaN"),
        (Schedule::steps([(1, -1.0)]), "step decay factor = -1"),
        (Schedule::transformer(0, 10), "transformer width = 0"),
        (Schedule::transformer(8, 0), "transformer warmup = 0"),
        (Schedule::cosine(10, 10, 0.0), "cosine total = 10"),
        (Schedule::cosine(1, 10, -0.5), "cosine floor = -0.5"),
        (Schedule::cosine(1, 10, f64::INFINITY), "cosine floor = inf"),
    ] {
        let error = noop.refuse(sgd().tensor("w", &[1]).schedule(schedule));
        check(error, "Hyperparameter", &[told]);
    }
}

#[test]
fn k_and_alpha_within_a_cycle() {
    let noop = Noop::new();
    let mut optimizer = noop.build(lookahead(3, 0.5));
    noop.step(&mut optimizer).unwrap();
    let told = ["the group `default` is at step 1 of 3", "sync_now"];
    check(optimizer.set_k("default", 4).unwrap_err(), "MidCycle", &[&["k can"], &told[..]].concat());
    let error = optimizer.set_alpha("default", 0.8).unwrap_err();
    check(error, "MidCycle", &[&["alpha can"], &told[..]].concat());
    assert_eq!(optimizer.lookahead("default").unwrap(), Some(Lookahead::new(3, 0.5)));
    noop.step(&mut optimizer).unwrap();
    noop.step(&mut optimizer).unwrap();
    optimizer.set_k("default", 4).unwrap();
    optimizer.set_alpha("default", 0.8).unwrap();
    check(optimizer.set_k("default", 0).unwrap_err(), "Hyperparameter", &["k = 0"]);
    check(optimizer.set_alpha("default", 1.5).unwrap_err(), "Hyperparameter", &["alpha = 1.5"]);
    assert_eq!(optimizer.lookahead("default").unwrap(), Some(Lookahead::new(4, 0.8)));
}

#[test]
fn k_and_alpha_without_lookahead() {
    let noop = Noop::new();
    for group in [Group::new("head").k(3), Group::new("head").alpha(0.5)] {
        let error = noop.refuse(sgd().group(group).tensor_in("head", "w", &[1]));
        check(error, "NoLookahead", &["the group `head`", "built without `lookahead`"]);
    }
    let mut optimizer = noop.build(sgd().tensor("w", &[1]));
    check(optimizer.set_k("default", 3).unwrap_err(), "NoLookahead", &["the group `default`"]);
    check(optimizer.set_alpha("default", 0.5).unwrap_err(), "NoLookahead", &["the group `default`"]);
}

#[test]
fn changes_outside_their_ranges_or_of_unknown_groups() {
    type Change = fn(&mut Optimizer, &str, f64) -> Result<(), Error>;
    let changes: [(Change, &str); 2] = [
        (|optimizer, group, value| optimizer.set_learning_rate(group, value), "lr"),
        (|optimizer, group, value| optimizer.set_learning_rate_factor(group, value), "learning rate factor"),
    ];
    let mut optimizer = Noop::new().build(lookahead(5, 0.5).group(Group::new("head")));
    let unknown = ["no group `body`", "`default`, `head`"];
    for (change, name) in changes {
        for bad in [f64::NAN, f64::INFINITY, -0.1, 1e39] {
            let error = change(&mut optimizer, "head", bad).unwrap_err();
            check(error, "Hyperparameter", &[&format!("{name} = {}", shown(bad))]);
        }
        check(change(&mut optimizer, "body", 1.0).unwrap_err(), "UnknownName", &unknown);
    }
    assert_eq!(optimizer.learning_rate("head").unwrap(), 0.1);
    check(optimizer.set_k("body", 3).unwrap_err(), "UnknownName", &unknown);
    check(optimizer.set_alpha("body", 0.5).unwrap_err(), "UnknownName", &unknown);
    check(optimizer.set_frozen("body", true).unwrap_err(), "UnknownName", &unknown);
    check(optimizer.step_count("body").unwrap_err(), "UnknownName", &unknown);
    check(optimizer.position("body").unwrap_err(), "UnknownName", &unknown);
    check(optimizer.lookahead("body").unwrap_err(), "UnknownName", &unknown);
    check(optimizer.learning_rate("body").unwrap_err(), "UnknownName", &unknown);
}

/// What is positive, or below 1, must be so for the GPU, which computes in f32.
#[test]
fn hyperparameters_that_f32_rounds_out_of_their_ranges() {
    let noop = Noop::new();
    let below_one = 1.0 - 1e-9;
    let refused: Vec<(Builder, &str)> = vec![
        (with(Adam::new(0.1).eps(1e-50)), "eps"),
        (with(Adam::new(0.1).eps(1e-40)), "eps"), // a subnormal number, which GPUs take for 0
        (with(Adam::new(0.1).betas(below_one, 0.999)), "beta1"),
        (with(Adam::new(0.1).betas(0.9, below_one)), "beta2"),
        (with(Adam::new(1e-50)), "lr"),
        (with(Adam::new(0.1).weight_decay(1e-50)), "weight_decay"),
        (with(AdamW::new(0.1).betas(0.9, below_one)), "beta2"),
        (with(Adadelta::default().eps(1e-50)), "eps"),
        (with(Adadelta::default().rho(below_one)), "rho"),
        (with(Adagrad::default().eps(1e-50)), "eps"),
        (with(RmsProp::default().alpha(below_one)), "alpha"),
        (with(Adamax::default().eps(1e-50)), "eps"),
        (with(AdaBelief::default().eps_root(1e-50)), "eps_root"),
        (with(Lion::default().betas(below_one, 0.99)), "beta1"),
        (with(Lamb::new(0.1).betas(0.9, below_one)), "beta2"),
        (with(Sgd::new(0.1).momentum(1e-50)), "momentum"),
        (with(Lars::new(0.1).trust_coefficient(1e-50)), "trust_coefficient"),
        (with(AdaFactor::new(0.1).momentum(below_one)), "momentum"),
        (sgd().clip(Clip::GlobalNorm(1e-50)), "clip"),
        (sgd().clip(Clip::TensorNorm(1e-50)), "clip"),
        (sgd().clip(Clip::Value(1e-50)), "clip"),
        (sgd().average(Average::Ema { decay: below_one }), "the average's decay"),
        (sgd().group(Group::new("head").learning_rate_factor(1e-50)), "learning rate factor"),
        (sgd().schedule(Schedule::steps([(1, 1e-50)])), "step decay factor"),
        (lookahead(5, 1e-50), "alpha"),
        (lookahead(5, 1e-9), "alpha"), // 1 - alpha is 1
        (lookahead(5, 0.5).adaptive(AdaptiveAlpha::new(1e-50)), "alpha_low"),
        (lookahead(5, 0.5).adaptive(AdaptiveAlpha::new(1e-9)), "alpha_low"),
        (lookahead(5, 0.5).outer(HeavyBall { momentum: below_one }), "outer momentum"),
        (lookahead(5, 0.5).outer(Nesterov { momentum: below_one }), "outer momentum"),
        (lookahead(5, 0.5).outer(SlowMo { momentum: below_one }), "slow momentum"),
    ];
    for (builder, name) in refused {
        check(noop.refuse(builder), "Hyperparameter", &[&format!("{name} = "), "is not allowed"]);
    }
    let error = noop.refuse(with(Adam::new(0.1).betas(below_one, 0.999)));
    check(error, "Hyperparameter", &["0.999999999", "in [0, 1)", "in f32, where it is 1.0"]);
    let error = noop.refuse(sgd().clip(Clip::GlobalNorm(1e-50)));
    check(error, "Hyperparameter", &["at least 1.2e-38", "in f32, where it is 0.0"]);
    noop.build(with(Adam::new(0.0).eps(0.0).betas(0.0, 0.0)));
    noop.build(lookahead(5, 1e-7));
    let mut optimizer = noop.build(lookahead(5, 0.5));
    check(optimizer.set_learning_rate("default", 1e-50).unwrap_err(), "Hyperparameter", &["lr = 1e-50"]);
    check(optimizer.set_alpha("default", 1e-9).unwrap_err(), "Hyperparameter", &["alpha = 1e-9"]);
}

#[test]
fn anderson_acceleration_and_what_does_not_go_with_it() {
    let noop = Noop::new();
    let with = |anderson| lookahead(6, 0.5).anderson(anderson);
    for (anderson, told) in [
        (Anderson::new(0), "Anderson's columns = 0 is not allowed: it must be from 1 to 8"),
        (Anderson::new(9), "Anderson's columns = 9"),
        (Anderson::new(2).stride(0), "Anderson's stride = 0 is not allowed: it must be at least 1"),
        (
            Anderson::new(2).regularisation(0.0),
            "regularisation = 0 is not allowed: it must be from 1e-12 to 1e6",
        ),
        (Anderson::new(2).regularisation(1e39), "from 1e-12 to 1e6"),
        (Anderson::new(2).regularisation(f64::NAN), "regularisation = NaN"),
        (Anderson::new(2).regularisation(f64::INFINITY), "regularisation = inf"),
        (Anderson::new(7), "k = 6 is not allowed: it must be at least Anderson's columns times its stride"),
        (Anderson::new(4).stride(2), "k = 6 is not allowed"),
        (Anderson::new(8).stride(u32::MAX), "k = 6 is not allowed"),
    ] {
        check(noop.refuse(with(anderson)), "Hyperparameter", &[told]);
    }
    let short = with(Anderson::new(6)).group(Group::new("head").k(5));
    check(noop.refuse(short), "Hyperparameter", &["k = 5 is not allowed"]);
    let alone = sgd().anderson(Anderson::new(2)).tensor("w", &[3]);
    check(noop.refuse(alone), "NoLookahead", &["Anderson acceleration"]);
    for (builder, told) in [
        (
            with(Anderson::new(2)).adaptive(AdaptiveAlpha::new(0.1)),
            "an adaptive alpha or Anderson acceleration, not both",
        ),
        (
            with(Anderson::new(2)).outer(HeavyBall { momentum: 0.5 }),
            "an outer step or Anderson acceleration, not both",
        ),
    ] {
        check(noop.refuse(builder), "Unsupported", &["build", told, "leave one of them out"]);
    }
    let mut optimizer = noop.build(with(Anderson::new(6)));
    check(optimizer.set_k("default", 5).unwrap_err(), "Hyperparameter", &["k = 5 is not allowed"]);
    optimizer.set_k("default", 7).unwrap();
    let snapshot = noop.build(lookahead(5, 0.5)).export_blocking().unwrap();
    check(optimizer.import(&snapshot).unwrap_err(), "Snapshot", &["k = 5 is not allowed"]);
}

fn with(rule: impl Rule + 'static) -> Builder {
    Optimizer::builder(rule).tensor("w", &[4])
}

/// A number as messages have it.
fn shown(value: f64) -> String {
    if value.abs() < 1e16 { value.to_string() } else { format!("{value:?}") }
}
