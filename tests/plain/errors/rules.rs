//! Rules of one's own that are wrong in their Rust half, or only where another access is built.

use lookahead_wgpu::{
    Error, Guard, Lookahead, Optimizer, Options, Rule, kernels,
    rules::{AdaFactor, Factored, SecondMoment, Slot, Step, Trust},
};

use super::{Noop, check};

/// A rule whose parts can be wrong one by one; its text is right.
#[derive(Debug, Clone)]
pub struct Broken {
    pub name: &'static str,
    pub wgsl: &'static str,
    pub slots: Vec<Slot>,
    pub hyper: Vec<f32>,
}

pub const RIGHT: &str = "\
struct Hyper {
    lr: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    return w - hyper.lr * g;
}
";

impl Broken {
    pub fn new(wgsl: &'static str) -> Self {
        Self { name: "broken", wgsl, slots: vec![Slot::zero("m")], hyper: vec![0.1] }
    }
}

impl Rule for Broken {
    fn name(&self) -> &str {
        self.name
    }

    fn wgsl(&self) -> &str {
        self.wgsl
    }

    fn slots(&self) -> Vec<Slot> {
        self.slots.clone()
    }

    fn learning_rate(&self) -> f64 {
        0.1
    }

    fn hyper(&self, _: u64, out: &mut Vec<f32>) {
        out.extend(&self.hyper);
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, _: &mut [f64]) -> f64 {
        weight - step.learning_rate * gradient
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The error of the rule, which is the same when it is checked alone and when it is built with.
pub fn refuse(rule: Broken) -> Error {
    let error = kernels::check(&rule).unwrap_err();
    let builder = Optimizer::builder(rule).lookahead(Lookahead::default()).tensor("w", &[3]);
    assert_eq!(Noop::new().refuse(builder), error);
    error
}

#[test]
fn the_rule_that_is_broken_below_is_right() {
    kernels::check(&Broken::new(RIGHT)).unwrap();
}

/// A rule whose hyperparameters are what they should be until a step.
#[derive(Debug, Clone)]
struct Late {
    bad: Vec<f32>,
    from: u64,
}

impl Rule for Late {
    fn name(&self) -> &str {
        "late"
    }

    fn wgsl(&self) -> &str {
        RIGHT
    }

    fn slots(&self) -> Vec<Slot> {
        vec![]
    }

    fn learning_rate(&self) -> f64 {
        0.1
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        if count < self.from { out.push(0.1) } else { out.extend(&self.bad) }
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, _: &mut [f64]) -> f64 {
        weight - step.learning_rate * gradient
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Without naga's help: at the build, and at the step from which they are wrong, where nothing is recorded then.
#[test]
fn hyperparameters_that_are_not_finite_or_too_few_or_many() {
    let noop = Noop::new();
    for (bad, told) in [
        (vec![f32::NAN], "gives NaN as member 1 of `Hyper` at count"),
        (vec![f32::INFINITY], "gives inf as member 1 of `Hyper` at count"),
        (vec![], "gives 0 members of `Hyper` at count"),
        (vec![0.1; 2], "gives 2 members of `Hyper` at count"),
    ] {
        let early = Late { bad: bad.clone(), from: 1 };
        let at_once = kernels::check(&early).unwrap_err();
        assert!(matches!(at_once, Error::Rule { .. }), "{at_once}");
        for (guard, lookahead) in [(None, None), (Some(Guard::default()), Some(Lookahead::new(2, 0.5)))] {
            let options = Options::default().guard(guard);
            let mut builder = Optimizer::builder(Late { bad: bad.clone(), from: 4 }).options(options);
            if let Some(lookahead) = lookahead {
                builder = builder.lookahead(lookahead);
            }
            let mut optimizer = noop.build(builder.tensor("w", &[3]));
            for _ in 0..3 {
                noop.step(&mut optimizer).unwrap();
            }
            if lookahead.is_some() {
                let mut encoder = noop.encoder();
                optimizer.sync_now(&mut encoder).unwrap();
            }
            for _ in 0..2 {
                let error = noop.step(&mut optimizer).unwrap_err();
                check(error, "Rule", &["the rule `late`", told, "at count 4"]);
            }
            if guard.is_none() {
                assert_eq!(optimizer.step_count("default").unwrap(), 3);
            }
        }
    }
}

/// A rule whose learning rate, trust ratio and second moment are what they should be until a step.
#[derive(Debug, Clone)]
struct Telling {
    lr: f64,
    trust: Option<Trust>,
    moment: Option<SecondMoment>,
    /// The decay of a moment that the driver keeps.
    decay: Option<f64>,
    from: u64,
}

const TELLING: Telling = Telling { lr: 0.1, trust: None, moment: None, decay: None, from: 1 };

impl Rule for Telling {
    fn name(&self) -> &str {
        "telling"
    }

    fn wgsl(&self) -> &str {
        "struct Hyper { decay: f32, rest: f32 }
        fn measure(w: vec4f, g: vec4f) -> vec4f { return g; }
        fn update(w: vec4f, g: vec4f) -> vec4f { return w - control.lr * g; }"
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("m")]
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        let decay = self.factored(count).map_or(0.5, |factored| factored.decay);
        out.extend([decay as f32, (1.0 - decay) as f32]);
    }

    fn trust(&self) -> Option<Trust> {
        self.trust
    }

    fn second_moment(&self, count: u64) -> Option<SecondMoment> {
        let right = SecondMoment { bias_correction: 1.0, eps: 0.0, ..self.moment? };
        if count < self.from { Some(right) } else { self.moment }
    }

    fn factored(&self, count: u64) -> Option<Factored> {
        let decay = if count < self.from { 0.5 } else { self.decay? };
        self.decay.and(AdaFactor::new(0.1).factored(count)).map(|factored| Factored { decay, ..factored })
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, _: &mut [f64]) -> f64 {
        weight - step.learning_rate * gradient
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// What a rule tells besides `Hyper` is held to its contract, too.
#[test]
fn what_the_driver_is_told_and_cannot_use() {
    kernels::check(&TELLING).unwrap();
    for lr in [f64::NAN, -0.1, 1e39, 1e-50] {
        let error = kernels::check(&Telling { lr, ..TELLING }).unwrap_err();
        check(error, "Hyperparameter", &["lr = "]);
    }
    for (coefficient, eps) in [(1e-50, 0.0), (1.0, 1e-50), (1e39, 0.0), (-1.0, 0.0), (1.0, f64::NAN)] {
        let trust = Some(Trust { coefficient, eps, measure_stores: false });
        let error = kernels::check(&Telling { trust, ..TELLING }).unwrap_err();
        check(error, "Rule", &["of its trust ratio", "at least 0"]);
    }
    let right = SecondMoment { slot: 0, bias_correction: 1.0, eps: 0.0 };
    kernels::check(&Telling { moment: Some(right), decay: None, ..TELLING }).unwrap();
    for slot in [1, usize::MAX] {
        let moment = Some(SecondMoment { slot, ..right });
        let error = kernels::check(&Telling { moment, ..TELLING }).unwrap_err();
        check(error, "Rule", &[&format!("in the slot {slot}, of 1")]);
    }
    let moments = [
        (SecondMoment { bias_correction: f64::NAN, ..right }, "bias correction"),
        (SecondMoment { bias_correction: 0.0, ..right }, "bias correction"),
        (SecondMoment { bias_correction: -1.0, ..right }, "bias correction"),
        (SecondMoment { eps: f64::NAN, ..right }, "has NaN for the eps"),
        (SecondMoment { eps: -1.0, ..right }, "has -1 for the eps"),
    ];
    let moments = moments.map(|(moment, told)| (Telling { moment: Some(moment), ..TELLING }, told));
    let decays = [2.0, -0.5].map(|decay| (Telling { decay: Some(decay), ..TELLING }, "for the decay"));
    let noop = Noop::new();
    for (rule, told) in moments.into_iter().chain(decays) {
        check(kernels::check(&rule).unwrap_err(), "Rule", &[told, "second moment at count 1"]);
        for guard in [None, Some(Guard::default())] {
            let builder = Optimizer::builder(Telling { from: 3, ..rule.clone() });
            let builder = builder.options(Options::default().guard(guard));
            let mut optimizer = noop.build(builder.tensor("w", &[3]));
            for _ in 0..2 {
                noop.step(&mut optimizer).unwrap();
            }
            let error = noop.step(&mut optimizer).unwrap_err();
            check(error, "Rule", &[told, "second moment at count 3"]);
            assert_eq!(optimizer.steps(), 2);
        }
    }
}

#[test]
fn numbers_of_hyper_members_that_cannot_be() {
    let error = refuse(Broken { hyper: vec![0.1; 65], ..Broken::new(RIGHT) });
    check(error, "Rule", &["gives 65 members of `Hyper`; 64 is the most"]);
    let error = refuse(Broken { hyper: vec![], ..Broken::new(RIGHT) });
    check(error, "Rule", &["has 1 members in `Hyper`, and `Rule::hyper` gives 0"]);
}

#[test]
fn slots_that_cannot_be() {
    let with = |slots: Vec<Slot>| Broken { slots, ..Broken::new(RIGHT) };
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let many = |count: usize| with(names[..count].iter().map(|name| Slot::zero(name)).collect());
    check(refuse(many(9)), "Rule", &["has 9 state slots, and 8 is the most"]);
    kernels::check(&many(8)).unwrap();
    let twice = refuse(with(vec![Slot::zero("a"), Slot::zero("b"), Slot::zero("a")]));
    check(twice, "Rule", &["two state slots called `a`"]);
    for initial in [f32::NAN, f32::INFINITY] {
        let error = refuse(with(vec![Slot { name: "v", initial }]));
        check(error, "Rule", &[&format!("starts the slot `v` at {initial}")]);
    }
    check(refuse(Broken { name: "", ..Broken::new(RIGHT) }), "Rule", &["has no name"]);
}

/// An outer step whose parts can be wrong one by one.
#[derive(Debug, Clone)]
struct Outward {
    wgsl: &'static str,
    slots: usize,
    coefficient: f32,
}

const OUTWARD: &str = "fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f { return theta; }";

impl lookahead_wgpu::Outer for Outward {
    fn name(&self) -> &str {
        "outward"
    }

    fn wgsl(&self) -> &str {
        self.wgsl
    }

    fn slots(&self) -> Vec<Slot> {
        ["a", "b"][..self.slots].iter().map(|name| Slot::zero(name)).collect()
    }

    fn coefficients(&self) -> [f32; 4] {
        [self.coefficient; 4]
    }

    fn step(&self, _: f64, theta: f64, _: f64, _: f64, _: &mut [f64]) -> f64 {
        theta
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn outer_steps_that_break_their_contract() {
    let right = Outward { wgsl: OUTWARD, slots: 1, coefficient: 0.5 };
    let noop = Noop::new();
    let builder = |outer: Outward| {
        Optimizer::builder(Broken::new(RIGHT)).lookahead(Lookahead::default()).outer(outer).tensor("w", &[3])
    };
    noop.build(builder(right.clone()));
    let expected = "`fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f`";
    for (outer, kind, told) in [
        (
            Outward { coefficient: f32::NAN, ..right.clone() },
            "Rule",
            &["coefficients", "NaN", "must be finite"][..],
        ),
        (Outward { wgsl: "", ..right.clone() }, "Rule", &["has no", expected]),
        (
            Outward { wgsl: "fn outer(phi: vec4f) -> vec4f { return phi; }", ..right.clone() },
            "Shader",
            &["it has `fn outer(phi: vec4f) -> vec4f`", expected],
        ),
        (
            Outward {
                wgsl: "fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f { return outer_state[1]; }",
                ..right.clone()
            },
            "Shader",
            &["has 1 slot, `outer_state[1]` is not one"],
        ),
    ] {
        check(noop.refuse(builder(outer)), kind, told);
    }
}
