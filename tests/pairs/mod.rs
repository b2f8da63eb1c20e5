//! Settings in all pairs: cases such that each two values of two axes that go together are in one of them. Few faults
//! need more than two settings to show, and all combinations would be millions.
#![allow(dead_code)] // each test file uses a part of it

use std::{collections::BTreeSet, sync::Arc};

use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Clip, Error, Guard, Half, Lookahead, LossScale, Options, Outer,
    Rule, Shape, StatePolicy,
    alpha::{Curvature, GradientAt, Scope},
    outer::{HeavyBall, Interpolation, Nesterov, SlowMo},
    rules::{self, Kind},
    transform::{Centralise, Context, GradientNoise, Reduced, Transform},
};

/// A value of an axis: their numbers.
pub type Value = (usize, usize);

/// Cases of one value an axis, by axis, so that each two values that `go_together` are in some case. `sizes`: how many
/// values each axis has. The same in every run. Whatever was chosen, each axis must have a value that goes with it.
pub fn cases(sizes: &[usize], go_together: impl Fn(Value, Value) -> bool) -> Vec<Vec<usize>> {
    let mut left = pairs(sizes, &go_together);
    let mut cases = Vec::new();
    while let Some(&(first, second)) = left.first() {
        let mut chosen = vec![first, second];
        for (axis, &size) in sizes.iter().enumerate() {
            if chosen.iter().any(|(other, _)| *other == axis) {
                continue;
            }
            let new =
                |value: Value| chosen.iter().filter(|other| left.contains(&ordered(**other, value))).count();
            // Values are tried from another one on in each case, or the first would be in most.
            let values = (0..size).map(|value| (axis, (value + cases.len() + axis) % size));
            let fitting = values.filter(|value| chosen.iter().all(|other| go_together(*other, *value)));
            // Of those that are as good, the first.
            let best = fitting.rev().max_by_key(|value| new(*value));
            chosen.push(best.unwrap_or_else(|| panic!("no value of axis {axis} goes with {chosen:?}")));
        }
        chosen.sort_unstable();
        for (index, &one) in chosen.iter().enumerate() {
            chosen[index + 1..].iter().for_each(|&other| _ = left.remove(&ordered(one, other)));
        }
        cases.push(chosen.into_iter().map(|(_, value)| value).collect());
    }
    cases
}

fn ordered(one: Value, other: Value) -> (Value, Value) {
    if one < other { (one, other) } else { (other, one) }
}

/// All pairs of values that go together.
pub fn pairs(sizes: &[usize], go_together: impl Fn(Value, Value) -> bool) -> BTreeSet<(Value, Value)> {
    let values =
        || sizes.iter().enumerate().flat_map(|(axis, size)| (0..*size).map(move |value| (axis, value)));
    let all = values().flat_map(|one| values().map(move |other| (one, other)));
    all.filter(|(one, other)| one.0 < other.0 && go_together(*one, *other)).collect()
}

/// What a test sets: a rule, Lookahead around it, and all options.
#[derive(Debug, Clone)]
pub struct Case {
    pub kind: &'static Kind,
    pub lookahead: Option<Lookahead>,
    pub options: Options,
    /// From 0 to 6: where weights and gradients lie.
    pub home: usize,
    pub shape: Shape,
}

impl Case {
    pub fn rule(&self) -> Box<dyn Rule> {
        self.kind.rule(self.kind.learning_rate)
    }
}

const RULE: usize = 0;
const LOOKAHEAD: usize = 1;
const HOME: usize = 2;
const CLIP: usize = 3;
const CURVATURE: usize = 4;
const SCOPE: usize = 5;
const OUTER: usize = 6;
const AVERAGE: usize = 7;
const ACCUMULATE: usize = 8;
const GUARD: usize = 9;
const HALF_WEIGHTS: usize = 10;
const HALF_GRADIENTS: usize = 11;
const SWITCHES: usize = 12; // one each: centralise, gradient norms, slow weights in bf16, maximise, gradient at
const TRANSFORMS: usize = 17;
const SHAPE: usize = 18;

fn policies() -> [Option<Lookahead>; 4] {
    let with = |policy| Some(Lookahead::new(3, 0.4).policy(policy));
    [with(StatePolicy::Maintain), None, with(StatePolicy::Interpolate), with(StatePolicy::Reset)]
}

const CLIPS: [Clip; 4] = [Clip::None, Clip::Value(0.3), Clip::GlobalNorm(0.7), Clip::TensorNorm(0.5)];

const CURVATURES: [Option<Curvature>; 6] = [
    None,
    Some(Curvature::Corrected),
    Some(Curvature::Given),
    Some(Curvature::Fisher { decay: 0.9 }),
    Some(Curvature::Raw),
    Some(Curvature::Root),
];

const SCOPES: [Scope; 3] = [Scope::Model, Scope::Group, Scope::Tensor];

fn outers() -> [Arc<dyn Outer>; 4] {
    [
        Arc::new(Interpolation),
        Arc::new(HeavyBall { momentum: 0.8 }),
        Arc::new(Nesterov { momentum: 0.9 }),
        Arc::new(SlowMo { momentum: 0.7 }),
    ]
}

const AVERAGES: [Option<Average>; 4] = [
    None,
    Some(Average::Ema { decay: 0.8 }),
    Some(Average::Polyak { from: 2 }),
    Some(Average::Swa { every: 3, from: 2 }),
];

fn accumulations() -> [Option<Accumulation>; 3] {
    [None, Some(Accumulation::mean(2)), Some(Accumulation::sum(3))]
}

fn guards() -> [Option<Guard>; 4] {
    let scaled = Guard::loss_scale(LossScale::default().initial(8.0));
    [None, Some(Guard::default()), Some(scaled), Some(Guard::default().check_updates())]
}

const HALVES: [Option<Half>; 3] = [None, Some(Half::F16), Some(Half::Bf16)];

/// A transformation of a user's, which asks for all that there is.
#[derive(Debug)]
pub struct Everything;

impl Transform for Everything {
    fn name(&self) -> &str {
        "everything"
    }

    fn wgsl(&self) -> &str {
        "const everything_scale = 0.25;

        fn everything(g: vec4f, step: u32, reduced: vec4f, coefficients: vec4f, value: u32, tensor: u32) -> vec4f {
            let place = vec4f(f32(tensor), f32(step), f32(value % 8u), 1.0);
            return g - 0.5 * reduced + everything_scale * dot(coefficients, place) * vec4f(1.0, -1.0, 2.0, 0.5);
        }"
    }

    fn coefficients(&self) -> [f32; 4] {
        [0.125, 0.0625, -0.03125, 0.25]
    }

    fn reduces(&self) -> Option<Reduced> {
        Some(Reduced::RowMeans)
    }

    fn apply(&self, gradients: &mut [Vec<f64>], context: &Context<'_>) {
        let mut means = gradients.to_vec();
        Centralise.apply(&mut means, context);
        for (tensor, (gradient, centred)) in gradients.iter_mut().zip(means).enumerate() {
            for (value, (g, centred)) in gradient.iter_mut().zip(centred).enumerate() {
                let first = (value / 4 * 4 % 8) as f64;
                let told = 0.125 * tensor as f64 + 0.0625 * context.step as f64 - 0.03125 * first + 0.25;
                *g = *g - 0.5 * (*g - centred) + 0.25 * told * [1.0, -1.0, 2.0, 0.5][value % 4];
            }
        }
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Lists of transformations. The third has the means of rows after a norm, where one is clipped by.
fn transforms() -> [Vec<Arc<dyn Transform>>; 4] {
    let noise = || Arc::new(GradientNoise::new(0.04).seed(0xabcd_1234));
    [
        vec![],
        vec![noise()],
        vec![noise(), Arc::new(Everything), Arc::new(Clip::Value(0.45))],
        vec![Arc::new(Centralise)],
    ]
}

/// Threads of which each four, eight or all of a workgroup work together, and not.
fn shapes() -> [Shape; 4] {
    let mut of_two_pairs = Shape::new(32, 2, 8);
    of_two_pairs.pairs = 2;
    [Shape::CPU, Shape::GPU, of_two_pairs, Shape::new(64, 1, 4)]
}

/// How many values each axis has. `halves`: what is half-width is among them.
fn sizes(halves: bool) -> Vec<usize> {
    let half = if halves { HALVES.len() } else { 1 };
    let kinds = rules::kinds().count();
    let slow_bf16 = if halves { 2 } else { 1 };
    let counts =
        [kinds, 4, 7, CLIPS.len(), CURVATURES.len(), SCOPES.len(), 4, AVERAGES.len(), 3, 4, half, half];
    [&counts[..], &[2, 2, slow_bf16, 2, 2, transforms().len(), shapes().len()]].concat()
}

/// Whether two values can be had at once.
fn go_together(one: Value, other: Value) -> bool {
    let (one, other) = ordered(one, other);
    let rule = |kind: usize| rules::kinds().nth(kind).map(|kind| kind.rule(kind.learning_rate)).unwrap();
    match (one, other) {
        // The rule alone has nothing to synchronise.
        ((LOOKAHEAD, 1), (CURVATURE | OUTER, value)) => value == 0,
        ((LOOKAHEAD, 1), (axis, value)) if axis == SWITCHES + 2 => value == 0,
        ((RULE, kind), (CURVATURE, 4 | 5)) => rule(kind).second_moment(1).is_some(),
        // The means of rows are found once, and each transformation is there once.
        ((RULE, kind), (TRANSFORMS, 2 | 3)) => !rule(kind).centralises(),
        ((CLIP, 1), (TRANSFORMS, 2)) | ((SWITCHES, 1), (TRANSFORMS, 2 | 3)) => false,
        // What is moved on before the update cannot be tried.
        ((RULE, kind), (GUARD, 3)) => {
            let rule = rule(kind);
            rule.factored(1).is_none() && rule.trust().is_none_or(|trust| !trust.measure_stores)
        }
        _ => true,
    }
}

/// Cases of all options. `halves`: those too that are half-width. In every other one that can have it, variance is reduced.
pub fn of_options(halves: bool) -> Vec<Case> {
    let mut cases: Vec<Case> = cases(&sizes(halves), go_together).iter().map(|values| case(values)).collect();
    let scales_loss = |case: &Case| case.options.guard.is_some_and(|guard| guard.loss_scale.is_some());
    let can = cases.iter_mut().filter(|case| case.lookahead.is_some() && !scales_loss(case));
    can.step_by(2).for_each(|case| case.options.variance_reduced = true);
    cases
}

/// Cases of rounds of two tasks with what goes with them: every other one of all whose state is not interpolated, with a
/// fixed alpha and without variance reduction.
pub fn of_tasks(halves: bool) -> Vec<Case> {
    let mut cases = of_options(halves);
    let policy = |case: &Case| case.lookahead.map(|lookahead| lookahead.policy);
    cases.retain(|case| matches!(policy(case), Some(StatePolicy::Maintain | StatePolicy::Reset)));
    for case in &mut cases {
        (case.options.adaptive, case.options.variance_reduced) = (None, false);
        case.lookahead = case.lookahead.map(|lookahead| lookahead.tasks(2));
    }
    cases.into_iter().step_by(2).collect()
}

fn case(values: &[usize]) -> Case {
    let kind = rules::kinds().nth(values[RULE]).unwrap();
    let is_on = |switch: usize| values[SWITCHES + switch] == 1;
    let gradient = if is_on(4) { GradientAt::LastStep } else { GradientAt::Synchronised };
    let adaptive = CURVATURES[values[CURVATURE]].map(|curvature| {
        AdaptiveAlpha::new(0.1).curvature(curvature).scope(SCOPES[values[SCOPE]]).gradient(gradient)
    });
    let mut options = Options::default()
        .clip(CLIPS[values[CLIP]])
        .outer(outers()[values[OUTER]].clone())
        .adaptive(adaptive)
        .average(AVERAGES[values[AVERAGE]])
        .accumulate(accumulations()[values[ACCUMULATE]])
        .guard(guards()[values[GUARD]])
        .half_weights(HALVES[values[HALF_WEIGHTS]])
        .half_gradients(HALVES[values[HALF_GRADIENTS]])
        .centralise(is_on(0))
        .gradient_norms(is_on(1))
        .slow_bf16(is_on(2))
        .maximize(is_on(3));
    options.transforms = transforms()[values[TRANSFORMS]].clone();
    let (home, shape) = (values[HOME], shapes()[values[SHAPE]]);
    Case { kind, lookahead: policies()[values[LOOKAHEAD]], options, home, shape }
}

/// Each pair is in some case, and no case has a pair that does not go together.
pub fn check_that_each_pair_is_covered() {
    let cases_of = |sizes: &[usize], go_together: &dyn Fn(Value, Value) -> bool| {
        let cases = cases(sizes, go_together);
        let mut left = pairs(sizes, go_together);
        for case in &cases {
            let values: Vec<Value> = case.iter().copied().enumerate().collect();
            for (index, &one) in values.iter().enumerate() {
                for &other in &values[index + 1..] {
                    assert!(go_together(one, other), "{one:?} and {other:?} do not go together: {case:?}");
                    left.remove(&(one, other));
                }
            }
        }
        assert!(left.is_empty(), "no case has {left:?}");
        cases.len()
    };
    assert_eq!(cases_of(&[2, 2, 2], &|_, _| true), 4);
    assert_eq!(cases_of(&[2, 1], &|one, other| (one, other) != ((0, 1), (1, 0))), 1);
    assert!(cases_of(&[3, 3, 3, 3], &|_, _| true) <= 13);
    for halves in [false, true] {
        let (most, cases) =
            (rules::kinds().count() * CURVATURES.len(), cases_of(&sizes(halves), &go_together));
        assert!(cases < most + most / 4, "{cases} cases, and {most} could do");
    }
}
