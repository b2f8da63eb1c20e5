//! Transformations of the gradient that cannot be used, or not together.

use std::sync::Arc;

use lookahead_wgpu::{
    Builder, Clip, Error, Options, Outer, Transform,
    kernels::check_transform,
    outer::Nesterov,
    rules::{Adam, Ranger, Slot},
    transform::{Centralise, Context, GradientNoise, Reduced},
};

use super::{Noop, check, sgd};

/// A transformation with something wrong.
#[derive(Debug, Clone)]
struct Wrong {
    name: &'static str,
    wgsl: &'static str,
    coefficients: [f32; 4],
    reduces: Option<Reduced>,
}

const RIGHT: Wrong = Wrong {
    name: "own",
    wgsl: "fn own(g: vec4f) -> vec4f { return g; }",
    coefficients: [0.0; 4],
    reduces: None,
};

impl Transform for Wrong {
    fn name(&self) -> &str {
        self.name
    }
    fn wgsl(&self) -> &str {
        self.wgsl
    }
    fn coefficients(&self) -> [f32; 4] {
        self.coefficients
    }
    fn reduces(&self) -> Option<Reduced> {
        self.reduces
    }
    fn apply(&self, _: &mut [Vec<f64>], _: &Context<'_>) {}
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn refused(transform: Wrong, parts: &[&str]) {
    let error = check_transform(&transform).unwrap_err();
    check(error, "Transform", parts);
    let error = Noop::new().refuse(sgd().tensor("w", &[4]).transform(transform));
    check(error, "Transform", parts);
}

#[test]
fn names_and_numbers() {
    check_transform(&RIGHT).unwrap();
    for name in ["", "9th", "with space", "é"] {
        refused(Wrong { name, ..RIGHT }, &[&format!("`{name}`"), "a name that a function of WGSL can have"]);
    }
    let coefficients = [0.0, f32::NAN, 0.0, 0.0];
    refused(Wrong { coefficients, ..RIGHT }, &["`own`", "[0.0, NaN, 0.0, 0.0]", "must be finite"]);
    for bound in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-60, 1e60] {
        for reduced in [Reduced::GlobalNorm(bound), Reduced::TensorNorm(bound)] {
            let (reduces, wgsl) = (Some(reduced), "fn own(g: vec4f, reduced: vec4f) -> vec4f { return g; }");
            refused(
                Wrong { reduces, wgsl, ..RIGHT },
                &["`own`", &format!("{bound:?}"), "positive and finite"],
            );
        }
    }
}

#[test]
fn functions_that_cannot_be_called() {
    let wrong = |wgsl: &'static str, parts: &[&str]| refused(Wrong { wgsl, ..RIGHT }, parts);
    wrong("fn other(g: vec4f) -> vec4f { return g; }", &["no `fn own(g: vec4f, ...) -> vec4f`"]);
    wrong("fn own() -> vec4f { return vec4f(); }", &["line 1", "must take the gradient"]);
    wrong("\nfn own(g: f32) -> vec4f { return vec4f(g); }", &["line 2", "must take the gradient"]);
    wrong("fn own(g: vec4f) -> f32 { return g.x; }", &["line 1", "return a vec4f"]);
    let many = "fn own(g: vec4f, w: vec4f) -> vec4f { return g; }";
    wrong(many, &["line 1", "the parameter `w: vec4f`", "`coefficients: vec4f`", "`step: u32`"]);
    wrong("fn own(g: vec4f, step: f32) -> vec4f { return g; }", &["`step: f32`", "`step: u32`"]);
    wrong("fn own(g: vec4f, step: u32, step: u32) -> vec4f { return g; }", &["`step` twice"]);
    wrong("fn own(g: vec4f) -> vec4f { return g; } /*", &["line 1", "the comment is never closed"]);
    let driver = "fn la_own() {}\nfn own(g: vec4f) -> vec4f { return g; }";
    wrong(driver, &["line 1", "`la_own` is a name of the driver's"]);
    // What it may use.
    let all = "alias Four = vec4f;
        fn own(g: Four, value: u32, tensor: u32, step: u32, reduced: vec4f, coefficients: vec4f) -> Four {
            return la_clamp(la_times(reduced.x, g), -coefficients, coefficients) + f32(value + tensor + step);
        }";
    let reduces = Some(Reduced::RowMeans);
    check_transform(&Wrong { wgsl: all, reduces, ..RIGHT }).unwrap();
    // What it takes and what it asks for go together.
    refused(Wrong { wgsl: all, ..RIGHT }, &["has the parameter `reduced`", "asks for nothing"]);
    refused(Wrong { reduces, ..RIGHT }, &["lacks the parameter `reduced`", "asks for something"]);
}

#[cfg(feature = "validate")]
#[test]
fn texts_that_do_not_compile() {
    let wrong = |wgsl: &'static str, parts: &[&str]| refused(Wrong { wgsl, ..RIGHT }, parts);
    wrong("fn own(g: vec4f) -> vec4f {\n    return g.x;\n}", &["line 2", "the type is f32, expected vec4f"]);
    wrong("fn own(g: vec4f) -> vec4f {\n    return h;\n}", &["line 2", "`h`"]);
    wrong("fn own(g: vec4f) -> vec4f {\n    return control.lr * g;\n}", &["line 2", "`control`"]);
}

#[test]
fn too_many_and_twice() {
    let noop = Noop::new();
    let refuse = |builder: Builder, parts: &[&str]| {
        check(noop.refuse(builder.tensor("w", &[4, 4])), "Transform", parts);
    };
    let own = |name, wgsl| Wrong { name, wgsl, ..RIGHT };
    let four = || {
        let sgd = sgd().transform(own("a", "fn a(g: vec4f) -> vec4f { return g; }"));
        let sgd = sgd.transform(own("b", "fn b(g: vec4f) -> vec4f { return g; }"));
        sgd.transform(own("c", "fn c(g: vec4f) -> vec4f { return g; }")).transform(RIGHT)
    };
    noop.build(four().tensor("w", &[4, 4]));
    refuse(
        four().transform(Centralise),
        &["`centralise`", "5 were given", "`a`, `b`, `c`, `own`", "4 is the most"],
    );
    refuse(sgd().transform(RIGHT).transform(RIGHT), &["`own` is there twice"]);
    refuse(sgd().centralise().transform(Centralise), &["`centralise` is there twice"]);
    let ranger = Builder::options(lookahead_wgpu::Optimizer::builder(Ranger::new(0.1)), Options::default());
    refuse(ranger.transform(Centralise), &["`centralise` is there twice"]);
    let norm = Clip::GlobalNorm(1.0);
    refuse(sgd().clip(norm).transform(Clip::TensorNorm(1.0)), &["`clip_by_norm` is there twice"]);
    let wgsl = "fn own(g: vec4f, reduced: vec4f) -> vec4f { return g; }";
    let normed = Wrong { reduces: Some(Reduced::GlobalNorm(1.0)), wgsl, ..RIGHT };
    refuse(sgd().clip(norm).transform(normed), &["`own` needs a norm, as `clip_by_norm` does"]);
    let rows = Wrong { reduces: Some(Reduced::RowMeans), wgsl, ..RIGHT };
    refuse(
        sgd().transform(rows).transform(Centralise),
        &["`centralise` needs the means of rows, as `own` does"],
    );
    noop.build(sgd().clip(norm).transform(Clip::Value(1.0)).transform(Centralise).tensor("w", &[4, 4]));
}

/// One whose coefficient is no number after a while.
#[derive(Debug)]
struct Fades(std::sync::atomic::AtomicU32);

impl Transform for Fades {
    fn name(&self) -> &str {
        "fades"
    }
    fn wgsl(&self) -> &str {
        "fn fades(g: vec4f, coefficients: vec4f) -> vec4f { return coefficients.x * g; }"
    }
    fn coefficients(&self) -> [f32; 4] {
        let asked = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        [if asked < 20 { 1.0 } else { f32::INFINITY }, 0.0, 0.0, 0.0]
    }
    fn apply(&self, _: &mut [Vec<f64>], _: &Context<'_>) {}
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn coefficients_that_are_no_numbers_later() {
    let noop = Noop::new();
    let mut optimizer = noop.build(sgd().tensor("w", &[4]).transform(Fades(Default::default())));
    let mut taken = 0;
    let error = loop {
        match noop.step(&mut optimizer) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    check(error, "Transform", &["`fades`", "[inf, 0.0, 0.0, 0.0]", "must be finite"]);
    assert!(taken > 0);
    assert_eq!(optimizer.counters_blocking().unwrap().steps, taken, "nothing was counted");
}

/// An outer step with a helper.
#[derive(Debug)]
struct Step;

impl Outer for Step {
    fn name(&self) -> &str {
        "stepped"
    }
    fn wgsl(&self) -> &str {
        "fn own() {}\nfn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f { return theta; }"
    }
    fn slots(&self) -> Vec<Slot> {
        vec![]
    }
    fn coefficients(&self) -> [f32; 4] {
        [0.0; 4]
    }
    fn step(&self, _: f64, theta: f64, _: f64, _: f64, _: &mut [f64]) -> f64 {
        theta
    }
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn texts_that_declare_the_same_name() {
    let noop = Noop::new();
    let builder = || sgd().lookahead(Default::default()).tensor("w", &[4]);
    let error = noop.refuse(builder().outer(Step).transform(RIGHT));
    check(error, "Transform", &["`own` declares `own`", "as the outer step `stepped` does", "rename"]);
    let other = Wrong {
        name: "other",
        wgsl: "const own = 1.0;\nfn other(g: vec4f) -> vec4f { return own * g; }",
        ..RIGHT
    };
    let error = noop.refuse(builder().transform(RIGHT).transform(other));
    check(error, "Transform", &["`other` declares `own`", "as the transformation `own` does"]);
    // Names of this crate's own transformations are nobody's.
    for name in ["clip_by_norm", "centralise", "noise_bits", "unscale_all"] {
        let wgsl = format!("fn {name}() {{}}\nfn own(g: vec4f) -> vec4f {{ return g; }}");
        let with = Wrong { wgsl: wgsl.leak(), ..RIGHT };
        let builder = builder().clip(Clip::GlobalNorm(1.0)).centralise().outer(Nesterov::default());
        noop.build(builder.transform(GradientNoise::new(0.1)).transform(with));
    }
}

#[test]
fn coefficients_of_noise() {
    for (noise, name) in [
        (GradientNoise::new(-0.1), "eta"),
        (GradientNoise::new(f64::NAN), "eta"),
        (GradientNoise::new(0.1).gamma(-1.0), "gamma"),
        (GradientNoise::new(0.1).gamma(f64::INFINITY), "gamma"),
    ] {
        let error = Noop::new().refuse(sgd().tensor("w", &[4]).transform(noise));
        check(error, "Hyperparameter", &[name, "at least 0"]);
    }
}

#[test]
fn settings_come_back() {
    let written = serde_json::json!([
        { "clip": { "global_norm": 0.5 } },
        "centralise",
        { "gradient_noise": { "eta": 0.3, "gamma": 0.55, "seed": 7 } },
        { "clip": "none" },
    ]);
    let options: Options = serde_json::from_value(serde_json::json!({ "transforms": written })).unwrap();
    assert_eq!(serde_json::to_value(&options).unwrap()["transforms"], written);
    let due: Vec<Arc<dyn Transform>> = vec![
        Arc::new(Clip::GlobalNorm(0.5)),
        Arc::new(Centralise),
        Arc::new(GradientNoise::new(0.3).seed(7)),
        Arc::new(Clip::None),
    ];
    assert_eq!(format!("{:?}", options.transforms), format!("{due:?}"));
    let short = serde_json::json!({ "transforms": [{ "gradient_noise": { "eta": 0.3 } }] });
    let options: Options = serde_json::from_value(short).unwrap();
    assert_eq!(format!("{:?}", options.transforms), format!("[{:?}]", GradientNoise::new(0.3)));
    // Nothing is written where there is nothing.
    assert!(serde_json::to_value(Options::default()).unwrap().get("transforms").is_none());
    for (wrong, told) in [
        (serde_json::json!(["clip"]), "expected newtype variant"),
        (serde_json::json!(["noise"]), "unknown variant `noise`"),
        (serde_json::json!([{ "gradient_noise": {} }]), "missing field `eta`"),
        (serde_json::json!([{ "gradient_noise": { "eta": 1, "sigma": 2 } }]), "unknown field `sigma`"),
    ] {
        let problem =
            serde_json::from_value::<Options>(serde_json::json!({ "transforms": wrong })).unwrap_err();
        assert!(problem.to_string().contains(told), "{problem}");
    }
    let own = Options::default().transform(RIGHT);
    let problem = serde_json::to_string(&own).unwrap_err().to_string();
    assert!(problem.contains("the transformation `own` has no settings"), "{problem}");
}

/// Only tables of places limit what a transformation takes.
#[test]
fn tensors_that_are_too_long_to_be_numbered() {
    let mut limits = lookahead_wgpu::Limits::default();
    (limits.max_buffer_size, limits.max_storage_buffer_binding_size) = (1 << 40, 1 << 40);
    let long = || lookahead_wgpu::Optimizer::builder(Adam::default()).tensor("w", &[1 << 16, 1 << 16]);
    let error = long().transform(GradientNoise::new(0.1)).plan(&limits).err().unwrap();
    check(error, "Shape", &["`w`", "asks for the number of a value", "2^32 - 1"]);
}
