//! What does not go together, or does not fit the limits.

use super::group::GroupState;
use crate::{
    config::{
        alpha::{AdaptiveAlpha, Curvature},
        anderson::Anderson,
        lookahead::{Lookahead, StatePolicy},
        options::Options,
        shape::Shape,
        variance_reduction,
    },
    error::Error,
    kernels::{
        Access, GRADIENTS_OF_PAIRS, Recipe, Tensors, check_collisions, check_links, check_outer,
        check_transform,
    },
    layout::{limits::Limits, params::ROWS, tensors::Layout},
    rules::Rule,
};

/// Refuses options that do not go together.
pub(super) fn check_options(
    options: &Options,
    lookahead: Option<&Lookahead>,
    groups: &[GroupState],
) -> Result<(), Error> {
    options.check()?;
    check_outer(options.outer.as_ref())?;
    options.transforms.iter().try_for_each(|transform| check_transform(transform.as_ref()))?;
    for group in groups {
        let (rule, outer) = (group.rule.as_ref(), options.outer.as_ref());
        let (lookahead, access, shape) = (group.lookahead.as_ref(), Access::Owned, Shape::default());
        let recipe = Recipe { rule, lookahead, options, access, shape, tensors: Tensors::default() };
        let links = recipe.transforms();
        check_links(&links)?;
        check_collisions(rule, outer, &links)?;
    }
    if lookahead.is_none() {
        check_alone(options)?;
    }
    variance_reduction::check(options)?;
    groups.iter().try_for_each(|group| check_anchored(group, options))?;
    if let Some(adaptive) = options.adaptive {
        check_curvature(adaptive, groups)?;
    }
    check_tasks(lookahead, options, groups)?;
    if let Some(anderson) = options.anderson {
        check_anderson(anderson, options, groups)?;
    }
    if options.tries_updates() {
        check_tries(groups)?;
    }
    if options.guard.is_some() {
        check_resets(groups)?;
    }
    Ok(())
}

/// Refuses several tasks where there is to be one: each has weights and a gradient of its own.
fn check_tasks(lookahead: Option<&Lookahead>, options: &Options, groups: &[GroupState]) -> Result<(), Error> {
    let Some(lookahead) = lookahead.filter(|lookahead| lookahead.has_tasks()) else { return Ok(()) };
    let others = [
        (
            options.adaptive.is_some(),
            "1 with an adaptive alpha, which takes one gradient at one task's weights",
        ),
        (
            options.anderson.is_some(),
            "1 with Anderson acceleration, which combines the iterates of one cycle",
        ),
        (options.variance_reduced, "1 with variance reduction, whose full gradient is that of one objective"),
        (
            groups.iter().any(|group| group.rule.anchored()),
            "1 with a rule that reads the slow weights, and says itself what they move towards",
        ),
    ];
    match others.into_iter().find(|(is_there, _)| *is_there) {
        None => Ok(()),
        Some((_, allowed)) => Err(Error::Hyperparameter {
            name: "tasks".to_owned(),
            value: f64::from(lookahead.tasks),
            allowed,
        }),
    }
}

/// Refuses what only Lookahead has.
fn check_alone(options: &Options) -> Result<(), Error> {
    let all = [
        (options.adaptive.is_some(), "an adaptive alpha"),
        (options.anderson.is_some(), "Anderson acceleration"),
        (options.slow_bf16, "`slow_bf16`"),
        (!options.outer.is_interpolation(), "an outer step"),
        (options.variance_reduced, "variance reduction"),
    ];
    match all.into_iter().find(|(asked, _)| *asked) {
        Some((_, of)) => Err(Error::NoLookahead { of: of.to_owned() }),
        None => Ok(()),
    }
}

/// Refuses what a rule does not go with whose steps read the slow weights.
fn check_anchored(group: &GroupState, options: &Options) -> Result<(), Error> {
    if !group.rule.anchored() {
        return Ok(());
    }
    let rule = group.rule.name().to_owned();
    let Some(lookahead) = group.lookahead else {
        return Err(Error::NoLookahead {
            of: format!("the rule `{rule}`, whose steps read the slow weights,"),
        });
    };
    let problem = if lookahead.policy != StatePolicy::Maintain {
        format!("goes on over a sync with its state, and the policy is {:?}; take Maintain", lookahead.policy)
    } else if options.adaptive.is_some() {
        "says itself what the slow weights move towards, of which no adaptive alpha is known; leave it out"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Rule { rule, problem })
}

/// Refuses a curvature that is a rule's second moment, of a rule that keeps none.
fn check_curvature(adaptive: AdaptiveAlpha, groups: &[GroupState]) -> Result<(), Error> {
    let is_moment = matches!(adaptive.curvature, Curvature::Raw | Curvature::Root);
    match groups.iter().find(|group| is_moment && group.rule.second_moment(1).is_none()) {
        None => Ok(()),
        Some(group) => Err(Error::Rule {
            rule: group.rule.name().to_owned(),
            problem: format!(
                "keeps no second moment for the curvature {:?}; take `Corrected` or `Fisher`",
                adaptive.curvature
            ),
        }),
    }
}

/// Refuses what does not go with Anderson acceleration, and cycles that are too short for it.
fn check_anderson(anderson: Anderson, options: &Options, groups: &[GroupState]) -> Result<(), Error> {
    let others = [
        (
            options.adaptive.is_some(),
            "takes an adaptive alpha or Anderson acceleration, not both: leave one of them out",
        ),
        (
            !options.outer.is_interpolation(),
            "takes an outer step or Anderson acceleration, not both: leave one of them out",
        ),
        (
            groups.iter().any(|group| group.rule.anchored()),
            "takes no Anderson acceleration with a rule that reads the slow weights, and says itself what they move towards: \
             leave it out",
        ),
    ];
    if let Some((_, problem)) = others.into_iter().find(|(asked, _)| *asked) {
        return Err(Error::Unsupported { call: "build", problem });
    }
    groups
        .iter()
        .filter_map(|group| group.lookahead.as_ref())
        .try_for_each(|lookahead| anderson.check_cycle(lookahead))
}

/// Refuses rules that a guard cannot try.
fn check_tries(groups: &[GroupState]) -> Result<(), Error> {
    let kept = |rule: &dyn Rule| match rule.trust() {
        Some(trust) if trust.measure_stores => Some("moves its state on before the trust ratio is known"),
        _ if rule.anchored() => Some("reads the slow weights, which are not there when updates are tried"),
        _ if rule.factored(1).is_some() => {
            Some("has second moments that the driver moves on before the update")
        }
        _ => None,
    };
    match groups.iter().find_map(|group| Some((group, kept(group.rule.as_ref())?))) {
        None => Ok(()),
        Some((group, what)) => Err(Error::Rule {
            rule: group.rule.name().to_owned(),
            problem: format!("{what}, so that a guard cannot check its updates; leave `check_updates` out"),
        }),
    }
}

/// Refuses cycles whose counts a guard's tables do not hold.
fn check_resets(groups: &[GroupState]) -> Result<(), Error> {
    let is_long = |l: &&Lookahead| l.policy.resets() && u64::from(l.k) > ROWS;
    match groups.iter().filter_map(|group| group.lookahead.as_ref()).find(is_long) {
        None => Ok(()),
        Some(lookahead) => Err(Error::Hyperparameter {
            name: "k".to_owned(),
            value: f64::from(lookahead.k),
            allowed: "at most 4096 with a guard and the policy reset",
        }),
    }
}

/// Refuses tensors that are too long for the tables of rows, moments and places, which count values in u32.
pub(super) fn check_lengths(layout: &Layout, recipes: &[Recipe<'_>]) -> Result<(), Error> {
    for tensor in layout.tensors.iter().filter(|tensor| tensor.len > u64::from(u32::MAX)) {
        let recipe = &recipes[tensor.group];
        let problem = if recipe.centralises() {
            "too many elements to be centralised (2^32)"
        } else if recipe.is_factored() {
            "a rule with factored second moments takes at most 2^32 - 1 elements"
        } else if recipe.asks_for_places() {
            "a transformation that asks for the number of a value takes at most 2^32 - 1 elements"
        } else {
            continue;
        };
        return Err(Error::Shape { tensor: tensor.name.clone(), shape: tensor.shape.clone(), problem });
    }
    Ok(())
}

/// The most that a group's kernels bind with so many pairs of weights and gradients: these, the table, and what is the
/// kernel's own; a reduction's first pass has its spans and partial sums, too.
fn storage_buffers(recipe: &Recipe<'_>, table: bool, pairs: u32) -> u64 {
    let both = 2 * u64::from(pairs) + u64::from(table) + recipe.own_bindings().len() as u64;
    let step = both + u64::from(recipe.options.half_weights.is_some());
    if recipe.measures().is_empty() { step } else { both + 2 }
}

/// Storage buffers that every device can bind that offers as many: native ones may count 24 buffers of all kinds, and
/// three are uniform.
const MOST_STORAGE_BUFFERS: u32 = 21;

/// How many pairs of borrowed buffers all kernels can bind, at most those that their shape asks for.
pub(super) fn pairs_within(limits: &Limits, recipes: &[Recipe<'_>]) -> u32 {
    let offered = u64::from(limits.max_storage_buffers_per_shader_stage.min(MOST_STORAGE_BUFFERS));
    let has_bindings = |pairs: u32| GRADIENTS_OF_PAIRS + pairs <= limits.max_bindings_per_bind_group;
    let fits = |pairs: &u32| {
        has_bindings(*pairs) && recipes.iter().all(|recipe| storage_buffers(recipe, true, *pairs) <= offered)
    };
    let most = recipes.iter().map(|recipe| recipe.shape.pairs).min().unwrap_or(1);
    (1..=most).rev().find(fits).unwrap_or(1)
}

/// Refuses a group whose kernels bind more storage buffers than the device offers.
pub(super) fn check_bindings(limits: &Limits, recipe: &Recipe<'_>, table: bool) -> Result<(), Error> {
    let needed = storage_buffers(recipe, table, 1);
    let offered = u64::from(limits.max_storage_buffers_per_shader_stage);
    if needed <= offered {
        return Ok(());
    }
    let purpose = format!("the step of `{}` with {:?}", recipe.rule.name(), recipe.options);
    Err(Error::Limit { limit: "max_storage_buffers_per_shader_stage", needed, offered, purpose })
}
