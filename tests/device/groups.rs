//! Groups override any hyperparameter, as PyTorch's parameter groups do.

use crate::common::{download, export, largest_error, noise, submit, widen, write_gradient};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Clip, Field, Group, Guard, Lookahead, Optimizer, Options, Rule,
    Snapshot, StatePolicy,
    alpha::{GradientAt, Scope},
    gpu::Gpu,
    rules::{self, AdaFactor, Adam, AdamW, Lamb, Lars, RmsProp, Sgd},
    twin::Twin,
};

fn lookahead() -> Lookahead {
    Lookahead::new(2, 0.4).policy(StatePolicy::Interpolate)
}

on_devices! {
    a_groups_hyperparameters_are_a_rules,
    what_a_group_overrides_is_the_twins,
    a_group_maximises_alone,
}

/// An optimizer of a group `g` and the default one, each of one tensor.
async fn build(gpu: &Gpu, rule: impl Rule + 'static, group: Group, options: &Options) -> Optimizer {
    let builder = Optimizer::builder(rule).lookahead(lookahead()).options(options.clone()).group(group);
    let builder = builder.tensor("a", &[6, 4]).tensor_in("g", "b", &[5, 3]);
    let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
    for (name, len, seed) in [("a", 24, 1), ("b", 15, 2)] {
        optimizer.upload(name, &noise(len, seed)).unwrap();
    }
    optimizer
}

/// Some steps; the gradients of the group are multiplied with `sign`.
fn train(gpu: &Gpu, optimizer: &mut Optimizer, sign: f32) {
    for step in 0..5 {
        write_gradient(gpu, optimizer, "a", &noise(24, 10 + step));
        let gradient: Vec<f32> = noise(15, 20 + step).iter().map(|value| value * sign).collect();
        write_gradient(gpu, optimizer, "b", &gradient);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
}

async fn trained(gpu: &Gpu, rule: impl Rule + 'static, group: Group) -> Snapshot {
    let mut optimizer = build(gpu, rule, group, &Options::default()).await;
    train(gpu, &mut optimizer, 1.0);
    export(&optimizer).await
}

/// A group that overrides is, to the bit, one with a rule of its own.
async fn a_groups_hyperparameters_are_a_rules(gpu: &Gpu) {
    let group = || Group::new("g");
    let adam = || Adam::new(0.01).weight_decay(0.1);
    let with = |name: &str, value: f64| group().hyperparameter(name, value);
    let own = |rule: Box<dyn Rule>| group().rule(rule);
    for (over, whole) in [
        (with("lr", 0.02), own(Box::new(Adam::new(0.02).weight_decay(0.1)))),
        (group().learning_rate(0.02), own(Box::new(Adam::new(0.02).weight_decay(0.1)))),
        (group().hyperparameter("betas", (0.8, 0.9)), own(Box::new(adam().betas(0.8, 0.9)))),
        (with("beta2", 0.9), own(Box::new(adam().betas(0.9, 0.9)))),
        (with("eps", 0.5), own(Box::new(adam().eps(0.5)))),
        (with("weight_decay", 0.5), own(Box::new(adam().weight_decay(0.5)))),
        (group().hyperparameter("amsgrad", true), own(Box::new(adam().amsgrad(true)))),
        (with("eps", 0.5).hyperparameter("amsgrad", true), own(Box::new(adam().eps(0.5).amsgrad(true)))),
    ] {
        let what = format!("{over:?}");
        assert_eq!(trained(gpu, adam(), over).await, trained(gpu, adam(), whole).await, "{what}");
    }
    let sgd = || Sgd::new(0.1);
    for (over, whole) in [
        (with("momentum", 0.9), sgd().momentum(0.9)),
        (with("momentum", 0.9).hyperparameter("nesterov", true), sgd().momentum(0.9).nesterov(true)),
        (with("momentum", 0.9).hyperparameter("dampening", 0.5), sgd().momentum(0.9).dampening(0.5)),
    ] {
        let what = format!("{over:?}");
        assert_eq!(trained(gpu, sgd(), over).await, trained(gpu, sgd(), group().rule(whole)).await, "{what}");
    }
    // Of the group's own rule, of one whose settings are another's, of a whole number and of what may be none.
    let over = group().rule(AdamW::new(0.02)).hyperparameter("eps", 0.5);
    let whole = group().rule(AdamW::new(0.02).eps(0.5));
    assert_eq!(trained(gpu, sgd(), over).await, trained(gpu, sgd(), whole).await);
    let factored = || AdaFactor::new(0.1);
    let over = with("min_dim_size_to_factor", 2.0).hyperparameter("clipping_threshold", None);
    let whole = group().rule(factored().min_dim_size_to_factor(2).clipping_threshold(None));
    assert_eq!(trained(gpu, factored(), over).await, trained(gpu, factored(), whole).await);
}

/// A rule, a group over it, and the rule that is meant.
type Case = (Box<dyn Rule>, Group, Box<dyn Rule>);

/// Each tensor is what its own twin makes of it.
async fn what_a_group_overrides_is_the_twins(gpu: &Gpu) {
    let rules: Vec<Case> = vec![
        (
            Box::new(Adam::new(0.01)),
            Group::new("g").hyperparameter("betas", (0.8, 0.9)).learning_rate(0.02),
            Box::new(Adam::new(0.02).betas(0.8, 0.9)),
        ),
        (
            Box::new(Sgd::new(0.1)),
            Group::new("g")
                .hyperparameter("momentum", 0.9)
                .hyperparameter("nesterov", true)
                .weight_decay(0.1),
            Box::new(Sgd::new(0.1).momentum(0.9).nesterov(true).weight_decay(0.1)),
        ),
        (
            Box::new(RmsProp::new(0.01)),
            Group::new("g").hyperparameter("centered", true).hyperparameter("alpha", 0.9),
            Box::new(RmsProp::new(0.01).centered(true).alpha(0.9)),
        ),
        (
            Box::new(Lars::new(0.1)),
            Group::new("g").hyperparameter("trust_coefficient", 0.1).hyperparameter("nesterov", true),
            Box::new(Lars::new(0.1).trust_coefficient(0.1).nesterov(true)),
        ),
        (
            Box::new(Lamb::new(0.1)),
            Group::new("g").hyperparameter("eps", 0.01),
            Box::new(Lamb::new(0.1).eps(0.01)),
        ),
    ];
    for (rule, group, other) in rules {
        let what = format!("{group:?}");
        let twin = |rule: Box<dyn Rule>, len, seed| {
            Twin::new(rule, vec![widen(&noise(len, seed))]).lookahead(lookahead())
        };
        let settings = rules::settings(rule.as_ref()).unwrap();
        let plain = rules::read(&settings.name, settings.fields).unwrap();
        let rates = [plain.learning_rate(), other.learning_rate()];
        let (mut first, mut second) = (twin(plain, 24, 1), twin(other, 15, 2));
        let mut optimizer = build(gpu, rule, group, &Options::default()).await;
        train(gpu, &mut optimizer, 1.0);
        for step in 0..5 {
            first.step(&[widen(&noise(24, 10 + step))], rates[0]);
            second.step(&[widen(&noise(15, 20 + step))], rates[1]);
        }
        for (name, twin) in [("a", first), ("b", second)] {
            let error = largest_error(&download(&optimizer, Field::Weights, name).await, &twin.weights[0]);
            assert!(error < 2e-6, "{what}: {name} is off by {error}");
        }
    }
}

/// A group that maximises is, to the bit, one that minimises with the opposite gradients.
async fn a_group_maximises_alone(gpu: &Gpu) {
    let adaptive = |scope| {
        let adaptive = AdaptiveAlpha::new(0.1).scope(scope).gradient(GradientAt::LastStep);
        Options::default().adaptive(adaptive)
    };
    for options in [
        Options::default(),
        adaptive(Scope::Model),
        adaptive(Scope::Group).clip(Clip::Value(0.5)),
        Options::default()
            .clip(Clip::GlobalNorm(0.5))
            .guard(Guard::default())
            .accumulate(Accumulation::mean(2))
            .centralise(true)
            .average(Average::Ema { decay: 0.5 }),
    ] {
        let rule = || Adam::new(0.01).weight_decay(0.1);
        let mut up = build(gpu, rule(), Group::new("g").maximize(true), &options).await;
        train(gpu, &mut up, 1.0);
        let mut down = build(gpu, rule(), Group::new("g"), &options).await;
        train(gpu, &mut down, -1.0);
        let (up, down) = (export(&up).await, export(&down).await);
        for (up, down) in up.tensors.iter().zip(&down.tensors) {
            for ((field, up), (_, down)) in up.fields.iter().zip(&down.fields) {
                // What the micro-batches so far sum up to is the gradients', as they were given.
                if field != "accumulated" {
                    assert_eq!(up, down, "{options:?}: {field}");
                }
            }
        }
        // And the other way round: all maximise but the group.
        let all = options.clone().maximize(true);
        let mut but = build(gpu, rule(), Group::new("g").maximize(false), &all).await;
        train(gpu, &mut but, -1.0);
        let mut all = build(gpu, rule(), Group::new("g"), &all).await;
        train(gpu, &mut all, 1.0);
        let field = Field::Weights;
        assert_eq!(download(&but, field, "b").await, download(&all, field, "b").await, "{options:?}");
    }
}
