//! Every kernel that the rules can need, for the tests that translate them.

use std::collections::BTreeMap;

use lookahead_wgpu::{
    Anderson, Lookahead, Options, Shape, StatePolicy,
    alpha::Scope,
    kernels::{Access, Recipe, Source, Tensors},
    rules,
};

#[path = "../pairs/mod.rs"]
pub mod pairs;

/// The constants that pipelines of a kernel are made with: workgroup sizes (the largest that an optimizer
/// chooses, and a smaller device's) and what a step's pipeline knows of its flags: nothing, an update, an
/// update with a sync, that it is one of those.
pub fn constants(source: &Source) -> Vec<BTreeMap<&'static str, f64>> {
    let workgroup = |size| BTreeMap::from([("LA_WORKGROUP", size)]);
    let mut constants = vec![workgroup(64.0), workgroup(256.0)];
    if source.entry == "la_step" {
        let known = [("LA_FLAGS", 1.0), ("LA_FLAGS", 3.0), ("LA_MAY", 3.0)];
        constants.extend(known.map(|known| BTreeMap::from([("LA_WORKGROUP", 256.0), known])));
    }
    constants
}

/// The kernels of these settings.
pub fn of(case: &pairs::Case) -> Vec<Source> {
    let access = Access::all().nth(case.home).unwrap();
    // Each tensor in buffers of its own: one at a time, or several in a dispatch.
    let several = match access {
        Access::Borrowed(width) => Some(Access::Several(width)),
        _ => None,
    };
    [Some(access), several].into_iter().flatten().flat_map(|access| of_access(case, access)).collect()
}

fn of_access(case: &pairs::Case, access: Access) -> Vec<Source> {
    let rule = case.rule();
    let options = &case.options;
    let recipe = Recipe {
        rule: rule.as_ref(),
        lookahead: case.lookahead.as_ref(),
        options,
        access,
        shape: case.shape,
        tensors: Tensors {
            long_rows: case.home.is_multiple_of(2),
            even_moments: case.home.is_multiple_of(3),
        },
    };
    recipe.sources()
}

/// The kernels of settings in all pairs, each text once.
pub fn all() -> impl Iterator<Item = Source> {
    distinct(pairs::of_options(true))
}

/// Those of rounds of several tasks.
#[allow(dead_code)] // not in every test file
pub fn of_tasks() -> impl Iterator<Item = Source> {
    distinct(pairs::of_tasks(true))
}

fn distinct(cases: Vec<pairs::Case>) -> impl Iterator<Item = Source> {
    let sources = cases.into_iter().flat_map(|case| of(&case));
    let distinct: BTreeMap<String, Source> = sources.map(|source| (source.wgsl.clone(), source)).collect();
    assert!(distinct.len() > 100, "{} kernels", distinct.len());
    distinct.into_values()
}

/// Those of Anderson acceleration, with few columns and many.
#[allow(dead_code)] // what is recorded has none of them
pub fn anderson() -> Vec<Source> {
    let mut sources = Vec::new();
    for (columns, scope, shape) in [
        (1, Scope::Model, Shape::CPU),
        (3, Scope::Group, Shape::GPU),
        (8, Scope::Tensor, Shape::new(64, 1, 4)),
    ] {
        let options =
            Options::default().anderson(Anderson::new(columns).scope(scope)).slow_bf16(columns == 3);
        for (access, name) in Access::all().zip(["sgd", "adam", "adafactor"].into_iter().cycle()) {
            let rule = rules::kind(name).map(|kind| kind.rule(kind.learning_rate)).unwrap();
            let lookahead = Lookahead::new(8, 0.5).policy(StatePolicy::Interpolate);
            let (lookahead, options) = (Some(&lookahead), &options);
            let rule = rule.as_ref();
            sources.extend(
                Recipe { rule, lookahead, options, access, shape, tensors: Tensors::default() }.sources(),
            );
        }
    }
    sources
}
