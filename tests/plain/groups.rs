//! What groups cannot override.

use lookahead_wgpu::{
    Error, Group, Limits, Optimizer, Rule,
    rules::{AdaFactor, Adam, Slot, Step},
};

/// A rule of a user's, with a hyperparameter.
#[derive(Debug, Clone)]
struct Scaled {
    scale: f64,
}

impl Rule for Scaled {
    fn name(&self) -> &str {
        "scaled"
    }
    fn wgsl(&self) -> &str {
        "struct Hyper { scale: f32 }\n\
         fn update(w: vec4f, g: vec4f) -> vec4f { return w - control.lr * hyper.scale * g; }"
    }
    fn slots(&self) -> Vec<Slot> {
        vec![]
    }
    fn learning_rate(&self) -> f64 {
        0.1
    }
    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        vec![("scale", self.scale)]
    }
    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        Some(Box::new(Self { scale: value("scale")? }))
    }
    fn hyper(&self, _: u64, out: &mut Vec<f32>) {
        out.push(self.scale as f32);
    }
    fn update(&self, step: &Step, weight: f64, gradient: f64, _: &mut [f64]) -> f64 {
        weight - step.learning_rate * self.scale * gradient
    }
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn wrong_hyperparameters_are_told() {
    let told = |rule: Box<dyn Rule>, group: Group, words: &[&str]| {
        let builder = Optimizer::builder(rule).group(group).tensor_in("g", "a", &[4]);
        let problem = builder.plan(&Limits::default()).unwrap_err().to_string();
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
    };
    let adam = || -> Box<dyn Rule> { Box::new(Adam::new(0.1)) };
    let group = || Group::new("g");
    told(
        adam(),
        group().hyperparameter("momentum", 0.9),
        &["no hyperparameter", "`momentum`", "`betas`", "`beta2`"],
    );
    told(adam(), group().hyperparameter("eps", f64::NAN), &["eps = NaN", "finite"]);
    told(adam(), group().hyperparameter("eps", -1.0), &["eps = -1", "at least 0"]);
    told(
        adam(),
        group().hyperparameter("eps", true),
        &["`adam`", "cannot have true", "`eps`", "expected f64"],
    );
    told(adam(), group().hyperparameter("betas", 0.9), &["cannot have 0.9", "`betas`"]);
    told(adam(), group().hyperparameter("betas", (0.9, 1.0)), &["beta2 = 1"]);
    told(adam(), group().learning_rate(-1.0), &["lr = -1", "at least 0"]);
    let factored = || -> Box<dyn Rule> { Box::new(AdaFactor::new(0.1)) };
    let size = |size: f64| group().hyperparameter("min_dim_size_to_factor", size);
    told(factored(), size(2.5), &["cannot have 2.5", "`min_dim_size_to_factor`"]);
    told(factored(), size(-1.0), &["cannot have -1", "`min_dim_size_to_factor`"]);
    told(Box::new(Scaled { scale: 1.0 }), group().hyperparameter("scales", 1.0), &["`scales`", "`scale`"]);
    told(
        Box::new(Scaled { scale: 1.0 }),
        group().hyperparameter("scale", (1.0, 2.0)),
        &["(1, 2)", "`scale`"],
    );
    let own = Group::new("g").hyperparameter("scale", 0.5);
    let builder = Optimizer::builder(Scaled { scale: 1.0 }).group(own).tensor_in("g", "a", &[4]);
    assert!(builder.plan(&Limits::default()).is_ok(), "a user's own is taken by the name that it gives");
}
