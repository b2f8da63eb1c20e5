//! Twelve composed kernels as text, so that a change of a shader shows what becomes of whole kernels. Where that is meant,
//! `LOOKAHEAD_RECORD=1 cargo test --test plain snapshots` renews them.

use std::{collections::BTreeMap, path::Path};

use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Anderson, Average, Clip, Half, Lookahead, Options, Shape, StatePolicy,
    alpha::{Curvature, GradientAt, Scope},
    kernels::{self, Access, Cycles, Decision, Measure, Recipe, Source, Tensors, Width},
    outer::Nesterov,
    rules,
    transform::GradientNoise,
};

#[test]
fn kernels_are_as_kept() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let due: BTreeMap<String, String> =
        kept().into_iter().map(|(name, source)| (format!("{name}.wgsl"), source.wgsl)).collect();
    assert_eq!(due.len(), 16);
    if std::env::var_os("LOOKAHEAD_RECORD").is_some_and(|value| value != "0") {
        for entry in std::fs::read_dir(&folder).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        due.iter().for_each(|(name, text)| std::fs::write(folder.join(name), text).unwrap());
    }
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert!(names.iter().eq(due.keys()), "tests/snapshots has {names:?}");
    for (name, text) in &due {
        let kept = std::fs::read_to_string(folder.join(name)).unwrap().replace("\r\n", "\n");
        let line = kept.lines().zip(text.lines()).position(|(kept, text)| kept != text);
        let line = line.unwrap_or(kept.lines().count().min(text.lines().count())) + 1;
        assert!(
            kept == *text,
            "tests/snapshots/{name} differs from line {line} on; if that is meant: \
             LOOKAHEAD_RECORD=1 cargo test --test plain snapshots"
        );
    }
}

type Make = for<'a, 'b> fn(&'a Recipe<'b>) -> Source;

/// The kernels that are kept: each of the whole shaders once, and steps with little and with much around the rule.
fn kept() -> Vec<(&'static str, Source)> {
    let with = |policy| Some(Lookahead::default().policy(policy));
    let plain = Options::default;
    let everything = plain()
        .adaptive(
            AdaptiveAlpha::new(0.1)
                .curvature(Curvature::Root)
                .scope(Scope::Tensor)
                .gradient(GradientAt::LastStep),
        )
        .average(Average::Ema { decay: 0.999 })
        .accumulate(Accumulation::mean(4))
        .centralise(true)
        .half_weights(Half::F16)
        .half_gradients(Half::Bf16)
        .slow_bf16(true)
        .outer(Nesterov::default())
        .clip(Clip::TensorNorm(1.0))
        .transform(GradientNoise::new(0.01));
    let accelerated = plain().anderson(Anderson::new(3));
    let clipped = plain().clip(Clip::GlobalNorm(1.0));
    let recipe = |rule: &str, lookahead, options: &Options, access, make: Make| {
        let kind = rules::kind(rule).unwrap();
        let rule = kind.rule(kind.learning_rate);
        let lookahead = Option::as_ref(&lookahead);
        make(&Recipe {
            rule: rule.as_ref(),
            lookahead,
            options,
            access,
            shape: Shape::default(),
            tensors: Tensors::default(),
        })
    };
    let (interpolate, maintain) = (with(StatePolicy::Interpolate), with(StatePolicy::Maintain));
    let reset = with(StatePolicy::Reset);
    let owned = Access::Owned;
    vec![
        ("step_sgd", recipe("sgd", None, &plain(), owned, |it| it.step())),
        ("step_adam_lookahead_clipped", recipe("adam", interpolate, &clipped, owned, |it| it.step())),
        (
            "step_adam_with_everything",
            recipe("adam", interpolate, &everything, Access::Far(Width::Value), |it| it.step()),
        ),
        (
            "step_adafactor_reset",
            recipe("adafactor", reset, &plain(), Access::Pooled(Width::Vec4), |it| it.step()),
        ),
        ("swap_slow", recipe("adam", maintain, &plain(), Access::Borrowed(Width::Vec4), |it| it.swap_slow())),
        ("partial_norm", recipe("adam", None, &clipped, owned, |it| it.partial(Measure::Norm))),
        ("finish_norm_scaled", kernels::finish(Measure::Norm, true, Shape::GPU)),
        ("partial_trust_lamb", recipe("lamb", None, &plain(), owned, |it| it.partial(Measure::Trust))),
        ("partial_alpha", recipe("adam", maintain, &everything, owned, |it| it.partial(Measure::Alpha))),
        ("step_sgd_anderson", recipe("sgd", maintain, &accelerated, owned, |it| it.step())),
        ("residuals", recipe("sgd", maintain, &accelerated, owned, |it| it.partial(Measure::Residuals))),
        ("solve", recipe("sgd", maintain, &accelerated, owned, |it| it.finish(Measure::Residuals))),
        ("finish_rows", kernels::finish(Measure::Rows, false, Shape::CPU)),
        ("moments_sums_adafactor", recipe("adafactor", None, &plain(), owned, |it| it.sums())),
        ("guard_tried", kernels::decide(Decision::Tried, None, Cycles::default())),
        (
            "guard_concludes_norm",
            kernels::decide(Decision::AtOnce, Some((true, Shape::GPU)), Cycles::default()),
        ),
    ]
}
