//! Groups of tensors at work.

use std::sync::Arc;

use crate::{
    config::{
        group::{Group, check_factor},
        lookahead::Lookahead,
        schedule::Schedule,
    },
    error::Error,
    guard::ROWS,
    lookahead::Clock,
    optimizer::Optimizer,
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
    pub maximize: bool,
    pub clock: Clock,
    /// How many members the rule's `Hyper` has.
    pub hypers: u32,
}

impl GroupState {
    /// The group's settings over the optimizer's.
    pub fn new(
        mut group: Group,
        rule: &Arc<dyn Rule>,
        lookahead: Option<Lookahead>,
        maximize: bool,
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
        check_factor(group.factor)?;
        group.learning_rate.map_or(Ok(()), check_learning_rate)?;
        weight_decay.check()?;
        crate::kernels::check(rule.as_ref())?;
        lookahead.map_or(Ok(()), |lookahead| lookahead.check())?;
        let mut hyper = Vec::new();
        rule.hyper(1, &mut hyper);
        Ok(Self {
            name: group.name,
            hypers: hyper.len() as u32,
            learning_rate: group.learning_rate.unwrap_or_else(|| rule.learning_rate()),
            rule,
            factor: group.factor,
            weight_decay,
            lookahead,
            frozen: group.frozen,
            maximize: group.maximize.unwrap_or(maximize),
            clock: Clock::new(),
        })
    }
}

impl GroupState {
    /// Pushes the rule's `Hyper` for the step with this count, if it is as many finite members as there are.
    pub fn hyper(&self, count: u64, out: &mut Vec<f32>) -> Result<(), Error> {
        self.rule.hyper(count, out);
        crate::kernels::check_hyper(self.rule.as_ref(), count, self.hypers as usize, out)
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

impl Optimizer {
    /// Whether a group is frozen.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn is_frozen(&self, group: &str) -> Result<bool, Error> {
        Ok(self.group(group)?.frozen)
    }

    /// A group's learning rate before schedule and factor: what [`set_learning_rate`](Self::set_learning_rate) sets.
    /// [`learning_rate`](Self::learning_rate) is the next step's.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn base_learning_rate(&self, group: &str) -> Result<f64, Error> {
        Ok(self.group(group)?.learning_rate)
    }

    /// The factor on a group's learning rate.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn learning_rate_factor(&self, group: &str) -> Result<f64, Error> {
        Ok(self.group(group)?.factor)
    }

    /// A group's weight decay, and of which kind it is.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn weight_decay(&self, group: &str) -> Result<WeightDecay, Error> {
        Ok(self.group(group)?.weight_decay)
    }

    /// A group's rule, with its hyperparameters as they are now. Its own learning rate and weight decay are those that
    /// it was given with; [`base_learning_rate`](Self::base_learning_rate) and [`weight_decay`](Self::weight_decay) tell
    /// what they are now.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn rule(&self, group: &str) -> Result<&dyn Rule, Error> {
        Ok(self.group(group)?.rule.as_ref())
    }

    /// The learning-rate schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Changes a group's weight decay, which stays of its rule's kind (L2, decoupled, in the direction), from the next
    /// step on.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`], [`Error::UnknownName`].
    pub fn set_weight_decay(&mut self, group: &str, weight_decay: f64) -> Result<(), Error> {
        let group = self.group_mut(group)?;
        let changed = group.weight_decay.with_factor(weight_decay);
        changed.check()?;
        group.weight_decay = changed;
        Ok(())
    }

    /// Changes the hyperparameters of a group's rule, from the next step on: `rule` is the same rule with others. Its
    /// learning rate and weight decay become the group's; k, alpha, the learning-rate factor and the state stay.
    ///
    /// ```
    /// # fn main() -> Result<(), lookahead_wgpu::Error> {
    /// # use lookahead_wgpu::{DEFAULT_GROUP, Optimizer, gpu::Gpu, rules::Adam};
    /// # let gpu = Gpu::open_blocking(None)?;
    /// let builder = Optimizer::builder(Adam::new(1e-3)).tensor("w", &[64]);
    /// let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue)?;
    /// // ... steps ...
    /// optimizer.set_rule(DEFAULT_GROUP, Adam::new(1e-3).betas(0.95, 0.999))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Rule`] where it is another rule, or differs in what buffers and kernels were made for: its WGSL, its
    /// slots, its trust ratio's coefficients, how its second moment is factored. [`Error::Hyperparameter`],
    /// [`Error::UnknownName`].
    pub fn set_rule(&mut self, group: &str, rule: impl Rule + 'static) -> Result<(), Error> {
        let index = self.group_index(group)?;
        crate::kernels::check(&rule)?;
        check_replaces(self.groups[index].rule.as_ref(), &rule)?;
        let group = &mut self.groups[index];
        group.learning_rate = rule.learning_rate();
        group.weight_decay = rule.weight_decay();
        self.replace_rule(index, Arc::new(rule));
        Ok(())
    }

    /// Another instance of a group's rule, which [`check_replaces`] has taken.
    pub(crate) fn replace_rule(&mut self, group: usize, rule: Arc<dyn Rule>) {
        self.planes[group].slots = rule.slots();
        self.groups[group].rule = rule;
        if let Some(guard) = &mut self.guard {
            guard.set_stale(group);
        }
    }

    /// Changes the schedule, from the next step on. Steps go on being counted.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`]; [`Error::LearningRate`] where a guard may yet take a step, skipped ones being
    /// taken later, of which the schedule makes no learning rate.
    pub fn set_schedule(&mut self, schedule: Schedule) -> Result<(), Error> {
        schedule.check()?;
        if self.guard.is_some() {
            for step in self.steps.saturating_sub(ROWS)..self.steps {
                self.check_factor_of(&schedule, step)?;
            }
        }
        if let Some(guard) = &mut self.guard {
            (0..self.groups.len()).for_each(|group| guard.set_stale(group));
        }
        self.schedule = schedule;
        Ok(())
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
