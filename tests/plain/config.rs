//! Settings by serde: what is left out, what comes back, and what is refused.

use std::sync::Arc;

use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Anderson, Average, Clip, Group, Guard, Half, ImportOptions, Lookahead,
    LossScale, Options, Schedule, StatePolicy, Weights,
    alpha::{Curvature, GradientAt, Scope},
    outer::{HeavyBall, Interpolation, Nesterov, Outer, SlowMo},
    rules::Adam,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Settings as they are written, and back.
fn comes_back<T: Serialize + DeserializeOwned + std::fmt::Debug>(settings: &T, written: Value) {
    assert_eq!(serde_json::to_value(settings).unwrap(), written);
    let back: T = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(format!("{back:?}"), format!("{settings:?}"));
    let back: T = serde_json::from_str(&written.to_string()).unwrap();
    assert_eq!(format!("{back:?}"), format!("{settings:?}"));
}

/// What is left out is at its default.
fn reads<T: DeserializeOwned + std::fmt::Debug>(written: Value, settings: &T) {
    let back: T = serde_json::from_value(written).unwrap();
    assert_eq!(format!("{back:?}"), format!("{settings:?}"));
}

#[test]
fn settings_come_back() {
    let lookahead = Lookahead::new(6, 0.25).policy(StatePolicy::Interpolate);
    comes_back(&lookahead, json!({ "k": 6, "alpha": 0.25, "policy": "interpolate" }));
    comes_back(
        &Lookahead::default().tasks(3),
        json!({ "k": 5, "alpha": 0.5, "policy": "maintain", "tasks": 3 }),
    );
    comes_back(&Clip::None, json!("none"));
    comes_back(&Clip::Value(0.5), json!({ "value": 0.5 }));
    comes_back(&Clip::GlobalNorm(0.5), json!({ "global_norm": 0.5 }));
    comes_back(&Clip::TensorNorm(0.5), json!({ "tensor_norm": 0.5 }));
    comes_back(&Average::Ema { decay: 0.5 }, json!({ "ema": 0.5 }));
    comes_back(&Average::Polyak { from: 3 }, json!({ "polyak": { "from": 3 } }));
    comes_back(&Average::Swa { every: 2, from: 3 }, json!({ "swa": { "every": 2, "from": 3 } }));
    comes_back(&Accumulation::sum(3), json!({ "micro_batches": 3, "mean": false }));
    let adaptive = AdaptiveAlpha::new(0.1).curvature(Curvature::Fisher { decay: 0.5 });
    let adaptive = adaptive.scope(Scope::Tensor).gradient(GradientAt::LastStep);
    comes_back(
        &adaptive,
        json!({
            "alpha_low": 0.1, "curvature": { "fisher": 0.5 }, "scope": "tensor", "gradient": "last_step"
        }),
    );
    comes_back(
        &Anderson::new(4).stride(2).regularisation(0.5).scope(Scope::Group),
        json!({ "columns": 4, "stride": 2, "regularisation": 0.5, "scope": "group" }),
    );
    comes_back(&Schedule::constant(), json!("constant"));
    comes_back(&Schedule::steps([(3, 0.1)]), json!({ "steps": [[3, 0.1]] }));
    comes_back(&Schedule::transformer(8, 4), json!({ "transformer": { "width": 8, "warmup": 4 } }));
    comes_back(&Schedule::cosine(1, 9, 0.5), json!({ "cosine": { "warmup": 1, "total": 9, "floor": 0.5 } }));
    let over =
        json!({ "name": "a", "hyperparameters": { "betas": [0.8, 0.9], "eps": 0.5, "amsgrad": true } });
    reads(
        over,
        &Group::new("a")
            .hyperparameter("betas", (0.8, 0.9))
            .hyperparameter("eps", 0.5)
            .hyperparameter("amsgrad", true),
    );
    let group = Group::new("head").rule(Adam::new(0.1)).learning_rate_factor(0.5).k(3).frozen();
    comes_back(
        &group,
        json!({
            "name": "head",
            "rule": {
                "name": "adam", "lr": 0.1, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "amsgrad": false
            },
            "learning_rate": null, "learning_rate_factor": 0.5, "weight_decay": null, "k": 3, "alpha": null,
            "frozen": true, "maximize": null
        }),
    );
}

#[test]
fn options_come_back() {
    let all = json!({
        "clip": { "global_norm": 1.0 },
        "outer": { "slow_mo": 0.5 },
        "adaptive_alpha": {
            "alpha_low": 0.1, "curvature": "root", "scope": "group", "gradient": "synchronised"
        },
        "anderson": { "columns": 3, "stride": 1, "regularisation": 1e-8, "scope": "model" },
        "average": { "ema": 0.9 },
        "accumulate": { "micro_batches": 2, "mean": true },
        "variance_reduced": true,
        "centralise": true,
        "guard": {
            "loss_scale": { "initial": 1024.0, "growth": 2.0, "backoff": 0.5, "interval": 2000 },
            "check_updates": true
        },
        "gradient_norms": true,
        "half_weights": "f16",
        "half_gradients": "bf16",
        "slow_bf16": true,
        "maximize": true
    });
    let options: Options = serde_json::from_value(all.clone()).unwrap();
    comes_back(&options, all);
    assert_eq!((options.clip, options.half_weights), (Clip::GlobalNorm(1.0), Some(Half::F16)));
    assert_eq!(options.adaptive.unwrap().curvature, Curvature::Root);
    assert_eq!(options.guard.unwrap().loss_scale.unwrap().initial, 1024.0);
    let outers: [(Arc<dyn Outer>, Value); 4] = [
        (Arc::new(Interpolation), json!("interpolation")),
        (Arc::new(HeavyBall { momentum: 0.5 }), json!({ "heavy_ball": 0.5 })),
        (Arc::new(Nesterov { momentum: 0.5 }), json!({ "nesterov": 0.5 })),
        (Arc::new(SlowMo { momentum: 0.5 }), json!({ "slow_mo": 0.5 })),
    ];
    for (outer, written) in outers {
        let options: Options = serde_json::from_value(json!({ "outer": written })).unwrap();
        assert_eq!(format!("{:?}", options.outer), format!("{outer:?}"));
        assert_eq!(serde_json::to_value(&options).unwrap()["outer"], written);
    }
}

#[test]
fn what_is_left_out_is_at_its_default() {
    reads(json!({}), &Lookahead::default());
    reads(json!({}), &Options::default());
    reads(json!({}), &LossScale::default());
    reads(json!({}), &ImportOptions::new());
    reads(json!({ "alpha_low": 0.1 }), &AdaptiveAlpha::new(0.1));
    reads(json!({ "columns": 3 }), &Anderson::new(3));
    reads(json!({ "micro_batches": 2 }), &Accumulation::mean(2));
    reads(json!({ "polyak": {} }), &Average::Polyak { from: 0 });
    reads(json!({ "cosine": { "total": 9 } }), &Schedule::cosine(0, 9, 0.0));
    reads(json!({ "name": "head" }), &Group::new("head"));
    for (guard, expected) in [
        (json!(true), Some(Guard::default())),
        (json!(false), None),
        (json!(null), None),
        (json!({}), Some(Guard::default())),
        (json!({ "loss_scale": true }), Some(Guard::loss_scale(LossScale::default()))),
        (json!({ "loss_scale": false, "check_updates": true }), Some(Guard::default().check_updates())),
    ] {
        let options: Options = serde_json::from_value(json!({ "guard": guard })).unwrap();
        assert_eq!(options.guard, expected);
    }
    let load = json!({ "begin_average": true, "end_lookahead": "fast" });
    reads(load, &ImportOptions::new().begin_average().end_lookahead(Weights::Fast));
}

#[test]
fn wrong_settings_are_told() {
    fn told<T: DeserializeOwned + std::fmt::Debug>(written: Value, words: &[&str]) {
        let problem = serde_json::from_value::<T>(written).unwrap_err().to_string();
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
    }
    told::<Lookahead>(json!({ "K": 5 }), &["unknown field `K`", "`k`", "`alpha`", "`policy`"]);
    told::<Lookahead>(json!({ "k": 0.5 }), &["0.5", "expected u32"]);
    told::<Lookahead>(json!({ "policy": "keep" }), &["unknown variant `keep`", "`maintain`", "`reset`"]);
    told::<Options>(json!({ "klip": "none" }), &["unknown field `klip`", "`clip`"]);
    told::<Options>(json!({ "clip": { "norm": 1 } }), &["unknown variant `norm`", "`global_norm`"]);
    told::<Options>(json!({ "guard": "yes" }), &["\"yes\"", "true, false, or an object of settings"]);
    told::<Options>(json!({ "guard": { "scale": 1 } }), &["unknown field `scale`", "`loss_scale`"]);
    told::<Options>(json!({ "outer": { "nadam": 1 } }), &["unknown variant `nadam`", "`nesterov`"]);
    told::<Options>(json!({ "half_weights": "f8" }), &["unknown variant `f8`", "`f16`", "`bf16`"]);
    told::<Average>(json!({ "swa": {} }), &["missing field `every`"]);
    told::<Average>(json!({ "swa": { "every": 1, "till": 2 } }), &["unknown field `till`"]);
    told::<AdaptiveAlpha>(json!({}), &["missing field `alpha_low`"]);
    told::<Schedule>(json!({ "steps": [[1]] }), &["tuple of size 2"]);
    told::<Schedule>(json!("custom"), &["unknown variant `custom`"]);
    told::<Group>(json!({}), &["missing field `name`"]);
    told::<Group>(json!({ "name": "a", "rule": { "name": "adm" } }), &["no rule `adm`"]);
    told::<Group>(json!({ "name": "a", "rule": { "lr": 1 } }), &["missing field `name`"]);
}

/// Every option, as JavaScript has it, is in the types of the npm package.
#[test]
fn typescript_knows_every_option() {
    fn fields(settings: impl Serialize) -> Vec<String> {
        let written = serde_json::to_value(settings).unwrap();
        written.as_object().unwrap().keys().cloned().collect()
    }
    /// What an enum may be: serde lists it where it is another.
    fn variants<T: DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
        let problem = serde_json::from_value::<T>(json!("?")).unwrap_err().to_string();
        problem.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }
    let names = [
        fields(Options::default().transform(lookahead_wgpu::transform::Centralise)),
        ["centralise", "clip", "gradient_noise", "eta", "gamma", "seed"].map(str::to_owned).to_vec(),
        fields(Lookahead::default().tasks(2)),
        fields(Group::new("a").hyperparameter("eps", 0.5)),
        fields(Guard::default()),
        fields(LossScale::default()),
        fields(AdaptiveAlpha::new(0.1)),
        fields(Anderson::new(3)),
        fields(Accumulation::mean(2)),
        fields(ImportOptions::new()),
        variants::<StatePolicy>(),
        variants::<Clip>(),
        variants::<Average>(),
        variants::<Curvature>(),
        variants::<Scope>(),
        variants::<GradientAt>(),
        variants::<Half>(),
        variants::<Schedule>(),
        variants::<Weights>(),
        variants::<lookahead_wgpu::outer::Settings>(),
    ];
    let types = include_str!("../../web/src/types.d.ts");
    let words: Vec<&str> = types.split(|c: char| !c.is_alphanumeric()).collect();
    let names: Vec<String> = names.concat();
    assert!(names.len() > 60, "{names:?}");
    let missing: Vec<_> = names
        .iter()
        .map(|name| crate::rules::camel(name))
        .filter(|name| !words.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// An outer step of a user's.
#[derive(Debug)]
struct Own;

impl Outer for Own {
    fn name(&self) -> &str {
        "own"
    }
    fn wgsl(&self) -> &str {
        "fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f { return theta; }"
    }
    fn slots(&self) -> Vec<lookahead_wgpu::rules::Slot> {
        vec![]
    }
    fn coefficients(&self) -> [f32; 4] {
        [0.0; 4]
    }
    fn step(&self, _: f64, theta: f64, _: f64, _: f64, _: &mut [f64]) -> f64 {
        theta
    }
    fn check(&self) -> Result<(), lookahead_wgpu::Error> {
        Ok(())
    }
}

#[test]
fn what_is_code_of_ones_own_is_not_serialised() {
    let mut options = Options::default();
    options.outer = Arc::new(Own);
    let problem = serde_json::to_string(&options).unwrap_err().to_string();
    assert!(problem.contains("the outer step `own` has no settings"), "{problem}");
    let problem = serde_json::to_string(&Schedule::custom(|_| 0.5)).unwrap_err().to_string();
    assert!(problem.contains("a function of one's own"), "{problem}");
}
