//! A group at work: its settings, whole, and where it stands.

use std::sync::Arc;

use super::cycle::CycleState;
use crate::{
    config::{anderson::Anderson, group::Group, lookahead::Lookahead, options::Options},
    error::Error,
    layout::planes::{Planes, iterates},
    rules::{Factored, Rule, WeightDecay, check_learning_rate},
};

/// A group at work: its settings, whole, and where it stands.
#[derive(Debug)]
pub(crate) struct GroupState {
    pub name: String,
    pub rule: Arc<dyn Rule>,
    pub learning_rate: f64,
    pub factor: f64,
    pub weight_decay: WeightDecay,
    pub lookahead: Option<Lookahead>,
    pub frozen: bool,
    /// The objective is maximised.
    pub maximize: bool,
    pub cycle: CycleState,
    /// How many members the rule's `Hyper` has.
    pub hypers: u32,
    /// What is kept for each weight.
    pub planes: Planes,
}

impl GroupState {
    /// The group's settings over the optimizer's.
    pub fn new(
        mut group: Group,
        rule: &Arc<dyn Rule>,
        lookahead: Option<Lookahead>,
        options: &Options,
    ) -> Result<Self, Error> {
        let rule = group.rule_over(rule)?;
        let weight_decay = match group.weight_decay {
            Some(factor) => rule.weight_decay().with_factor(factor),
            None => rule.weight_decay(),
        };
        if lookahead.is_none() && (group.k.is_some() || group.alpha.is_some()) {
            return Err(Error::NoLookahead { of: format!("the group `{}`", group.name) });
        }
        let lookahead = lookahead.map(|lookahead| Lookahead {
            k: group.k.unwrap_or(lookahead.k),
            alpha: group.alpha.unwrap_or(lookahead.alpha),
            ..lookahead
        });
        crate::config::group::check_factor(group.factor)?;
        group.learning_rate.map_or(Ok(()), check_learning_rate)?;
        weight_decay.check()?;
        crate::kernels::check(rule.as_ref())?;
        lookahead.map_or(Ok(()), |lookahead| lookahead.check())?;
        let mut hyper = Vec::new();
        rule.hyper(1, &mut hyper);
        Ok(Self {
            name: group.name,
            hypers: hyper.len() as u32,
            planes: Planes::new(rule.as_ref(), lookahead.as_ref(), options),
            learning_rate: group.learning_rate.unwrap_or_else(|| rule.learning_rate()),
            rule,
            factor: group.factor,
            weight_decay,
            lookahead,
            frozen: group.frozen,
            maximize: group.maximize.unwrap_or(options.maximize),
            cycle: CycleState::new(),
        })
    }
}

impl GroupState {
    /// Pushes the rule's `Hyper` for the step with this count, if it is as many finite members as there are.
    pub fn hyper(&self, count: u64, out: &mut Vec<f32>) -> Result<(), Error> {
        self.rule.hyper(count, out);
        crate::kernels::check_hyper(self.rule.as_ref(), count, self.hypers as usize, out)
    }

    /// Takes these settings of Lookahead.
    pub fn set_lookahead(&mut self, lookahead: Option<Lookahead>, anderson: Option<Anderson>) {
        self.lookahead = lookahead;
        self.planes.iterates = iterates(lookahead.as_ref(), anderson);
    }

    /// How many iterates the cycle under way has kept, as far as the host knows.
    pub fn kept(&self) -> u32 {
        self.cycle.kept(&self.planes.iterates).len() as u32
    }

    /// A sync starts the state and the count again.
    pub fn resets(&self) -> bool {
        self.lookahead.is_some_and(|lookahead| lookahead.policy.resets())
    }

    /// The learning rate of a step at which the schedule gives `factor`.
    pub fn learning_rate_at(&self, factor: f64) -> f64 {
        self.learning_rate * self.factor * factor
    }

    /// Whether f32 holds that learning rate as kernels are told it: the group's, and times `factor`. A product that
    /// f32 holds may be of one that it does not.
    pub fn can_tell(&self, factor: f64) -> bool {
        let (base, value) = (self.learning_rate * self.factor, self.learning_rate_at(factor));
        let least = f64::from(f32::MIN_POSITIVE);
        let is_lost = value >= least && base.min(factor) < least;
        value >= 0.0 && (base as f32 * factor as f32).is_finite() && !is_lost
    }
}

/// Refuses a rule for which other buffers and kernels would be needed than those of the one it replaces.
pub(crate) fn check_replaces(here: &dyn Rule, rule: &dyn Rule) -> Result<(), Error> {
    let differs = |what: String| {
        let problem = format!("{what}, for which buffers and kernels are made: build a new optimizer");
        Err(Error::Rule { rule: rule.name().to_owned(), problem })
    };
    if here.name() != rule.name() {
        return differs(format!("is another than the group's, `{}`", here.name()));
    }
    let names = |rule: &dyn Rule| rule.slots().iter().map(|slot| slot.name).collect::<Vec<_>>();
    if names(here) != names(rule) {
        return differs(format!("has the slots {:?}, and had {:?}", names(rule), names(here)));
    }
    let hypers = |rule: &dyn Rule| {
        let mut hyper = Vec::new();
        rule.hyper(1, &mut hyper);
        hyper.len()
    };
    if here.wgsl() != rule.wgsl() || hypers(here) != hypers(rule) {
        return differs("has another WGSL text than it had".to_owned());
    }
    if here.anchored() != rule.anchored() {
        return differs("reads the slow weights and did not, or did".to_owned());
    }
    if here.trust() != rule.trust() {
        return differs(format!("has {:?}, and had {:?}", rule.trust(), here.trust()));
    }
    // The decay by count is told with each step.
    let factored = |rule: &dyn Rule| rule.factored(1).map(|factored| Factored { decay: 0.0, ..factored });
    if factored(here) != factored(rule) {
        return differs(format!("has {:?}, and had {:?}", factored(rule), factored(here)));
    }
    let moment = |rule: &dyn Rule| rule.second_moment(1).map(|moment| moment.slot);
    if moment(here) != moment(rule) || here.centralises() != rule.centralises() {
        return differs("has another second moment, or centralises where it did not".to_owned());
    }
    Ok(())
}
