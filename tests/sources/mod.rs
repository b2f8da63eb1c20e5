//! Every kernel that the rules can need, for the tests that translate them.

use std::{collections::BTreeMap, sync::Arc};

use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Clip, Guard, Half, Options, Rule,
    alpha::{Curvature, Scope},
    kernels::{self, Source},
    outer::{HeavyBall, Nesterov, SlowMo},
    rules::{self, AdaFactor, Adam, Lamb, Sgd},
};

/// The constants that pipelines of a kernel are made with: workgroup sizes (the largest that an optimizer
/// chooses, and a smaller device's) and what a step's pipeline knows of its flags: nothing, an update, an
/// update with a sync.
pub fn constants(source: &Source) -> Vec<BTreeMap<&'static str, f64>> {
    let workgroup = |size| BTreeMap::from([("LA_WORKGROUP", size)]);
    let mut constants = vec![workgroup(64.0), workgroup(256.0)];
    if source.entry == "la_step" {
        constants
            .extend([1.0, 3.0].map(|flags| BTreeMap::from([("LA_WORKGROUP", 256.0), ("LA_FLAGS", flags)])));
    }
    constants
}

/// What can be had around a rule, in three sets that have everything between them.
fn everything() -> [Options; 3] {
    let adaptive = |curvature, scope| Some(AdaptiveAlpha::new(0.1).curvature(curvature).scope(scope));
    [
        Options::default()
            .adaptive(adaptive(Curvature::Corrected, Scope::Model))
            .average(Average::Ema { decay: 0.9 })
            .accumulate(Accumulation::mean(2))
            .centralise(true)
            .guard(Guard::default().check_updates())
            .half_weights(Half::F16)
            .half_gradients(Half::Bf16)
            .slow_bf16(true)
            .outer(Nesterov::default())
            .clip(Clip::GlobalNorm(1.0))
            .maximize(false)
            .gradient_norms(true),
        Options::default()
            .adaptive(adaptive(Curvature::Given, Scope::Tensor))
            .half_weights(Half::Bf16)
            .half_gradients(Half::F16)
            .outer(SlowMo { momentum: 0.5 })
            .clip(Clip::Value(1.0)),
        Options::default()
            .adaptive(adaptive(Curvature::Fisher { decay: 0.9 }, Scope::Group))
            .outer(HeavyBall { momentum: 0.5 }),
    ]
}

/// The kernels of all rules, each text once.
pub fn all() -> impl Iterator<Item = Source> {
    let rules: Vec<_> = rules::kinds().map(|kind| kind.rule(0.1)).collect();
    let options = Options::default().clip(Clip::TensorNorm(1.0));
    let plain = [Options::default(), options].into_iter().flat_map(|options| {
        rules.iter().flat_map(move |rule| kernels::all(rule.as_ref(), &options)).collect::<Vec<_>>()
    });
    let few: [&dyn Rule; 4] = [&Sgd::new(0.1), &Adam::default(), &Lamb::new(0.1), &AdaFactor::new(0.1)];
    let around = everything().into_iter().flat_map(|options| {
        few.into_iter().flat_map(move |rule| kernels::all(rule, &options)).collect::<Vec<_>>()
    });
    let all = plain.chain(around);
    let all = all.map(|source| (source.wgsl.clone(), source));
    let distinct: BTreeMap<String, Source> = all.collect();
    assert!(distinct.len() > 100, "{} kernels", distinct.len());
    distinct.into_values()
}
