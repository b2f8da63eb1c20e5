//! Groups at work: what can be read and changed of each.

use std::sync::Arc;

use super::training::Optimizer;
use crate::{
    config::schedule::Schedule,
    engine::Engine,
    error::Error,
    layout::params::ROWS,
    plan::group::check_replaces,
    rules::{Rule, WeightDecay},
};

impl<E: Engine> Optimizer<E> {
    /// Whether a group is frozen.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn is_frozen(&self, group: &str) -> Result<bool, Error> {
        Ok(self.plan.group(group)?.frozen)
    }

    /// A group's learning rate before schedule and factor: what [`set_learning_rate`](Self::set_learning_rate) sets.
    /// [`learning_rate`](Self::learning_rate) is the next step's.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn base_learning_rate(&self, group: &str) -> Result<f64, Error> {
        Ok(self.plan.group(group)?.learning_rate)
    }

    /// The factor on a group's learning rate.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn learning_rate_factor(&self, group: &str) -> Result<f64, Error> {
        Ok(self.plan.group(group)?.factor)
    }

    /// A group's weight decay, and of which kind it is.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn weight_decay(&self, group: &str) -> Result<WeightDecay, Error> {
        Ok(self.plan.group(group)?.weight_decay)
    }

    /// A group's rule, with its hyperparameters as they are now. Its own learning rate and weight decay are those that
    /// it was given with; [`base_learning_rate`](Self::base_learning_rate) and [`weight_decay`](Self::weight_decay) tell
    /// what they are now.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn rule(&self, group: &str) -> Result<&dyn Rule, Error> {
        Ok(self.plan.group(group)?.rule.as_ref())
    }

    /// The learning-rate schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.plan.state.schedule
    }

    /// Changes a group's weight decay, which stays of its rule's kind (L2, decoupled, in the direction), from the next
    /// step on.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`], [`Error::UnknownName`].
    pub fn set_weight_decay(&mut self, group: &str, weight_decay: f64) -> Result<(), Error> {
        let group = self.plan.group_mut(group)?;
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
        let index = self.plan.group_index(group)?;
        crate::kernels::check(&rule)?;
        check_replaces(self.plan.state.groups[index].rule.as_ref(), &rule)?;
        let group = &mut self.plan.state.groups[index];
        group.learning_rate = rule.learning_rate();
        group.weight_decay = rule.weight_decay();
        self.replace_rule(index, Arc::new(rule));
        Ok(())
    }

    /// Another instance of a group's rule, which [`check_replaces`] has taken.
    pub(crate) fn replace_rule(&mut self, group: usize, rule: Arc<dyn Rule>) {
        let state = &mut self.plan.state;
        state.groups[group].planes.slots = rule.slots();
        state.groups[group].rule = rule;
        state.stale_tables[group] = true;
    }

    /// Changes the schedule, from the next step on. Steps go on being counted.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`]; [`Error::LearningRate`] where a guard may yet take a step, skipped ones being
    /// taken later, of which the schedule makes no learning rate.
    pub fn set_schedule(&mut self, schedule: Schedule) -> Result<(), Error> {
        schedule.check()?;
        if self.plan.guard.is_some() {
            for step in self.plan.state.steps.saturating_sub(ROWS)..self.plan.state.steps {
                self.plan.check_factor_of(&schedule, step)?;
            }
        }
        self.plan.state.stale_tables.fill(true);
        self.plan.state.schedule = schedule;
        Ok(())
    }
}
