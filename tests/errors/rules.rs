//! Rules of one's own that are wrong in their Rust half, or only where another access is built.

use lookahead_wgpu::{
    Error, Lookahead, Optimizer, Rule, kernels,
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

/// A name that only another access uses is found when that access is built.
#[test]
fn names_of_the_borrowed_accesses() {
    use lookahead_wgpu::{Slice, wgpu::BufferUsages};
    let noop = Noop::new();
    let buffer = noop.buffer(64, BufferUsages::STORAGE);
    let wgsl: &'static str = format!("{RIGHT}fn locate() {{}}\n").leak();
    let builder = Optimizer::builder(Broken::new(wgsl)).borrowed("w", &[4], Slice::new(&buffer, 0, 16));
    check(noop.refuse(builder), "Shader", &["rule `broken`", "redefinition of `locate`"]);
}

#[test]
fn numbers_of_hyper_members_that_cannot_be() {
    let error = refuse(Broken { hyper: vec![0.1; 65], ..Broken::new(RIGHT) });
    check(error, "Rule", &["gives 65 members of `Hyper`; 64 is the most"]);
    let error = refuse(Broken { hyper: vec![], ..Broken::new(RIGHT) });
    check(error, "Shader", &["redefinition of `Hyper`"]);
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
