//! Rules of one's own that are wrong in their Rust half, or only where another access is built.

use lookahead_wgpu::{
    Error, Guard, Lookahead, Optimizer, Options, Rule, kernels,
    rules::{Slot, Step},
};

use crate::{Noop, check};

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
            let options = Options { guard, ..Options::default() };
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
