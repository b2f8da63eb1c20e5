//! What can be read and changed while an optimizer is at work.

use crate::{
    error::{Error, check_hyperparameter, list},
    group::{GroupState, check_factor},
    lookahead::{Lookahead, StatePolicy},
    optimizer::Optimizer,
};

/// The bytes that one step must move through the device's memory: each input read once, each output
/// written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// In every step.
    pub step: u64,
    /// In a step that ends the cycle, on top.
    pub sync: u64,
}

impl Optimizer {
    /// Steps recorded, over all cycles: what the schedule is asked with.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Inner steps of a group since its state was last initialised: the t of bias corrections.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn step_count(&self, group: &str) -> Result<u64, Error> {
        Ok(self.group(group)?.clock.count)
    }

    /// Inner steps of a group since its last sync, from 0 to k - 1. At 0 fast and slow weights are equal.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn position(&self, group: &str) -> Result<u32, Error> {
        Ok(self.group(group)?.clock.position)
    }

    /// A group's k, alpha and policy; none for the rule alone.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn lookahead(&self, group: &str) -> Result<Option<Lookahead>, Error> {
        Ok(self.group(group)?.lookahead)
    }

    /// The learning rate that a group's next step will have.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn learning_rate(&self, group: &str) -> Result<f64, Error> {
        let factor = self.schedule.factor(self.steps);
        Ok(self.group(group)?.learning_rate_at(factor))
    }

    /// The names of the groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// The names and shapes of the tensors.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.layout.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice()))
    }

    /// Changes k, from the next cycle on.
    ///
    /// # Errors
    ///
    /// [`Error::MidCycle`] within a cycle; [`Error::Hyperparameter`], [`Error::NoLookahead`],
    /// [`Error::UnknownName`].
    pub fn set_k(&mut self, group: &str, k: u32) -> Result<(), Error> {
        self.set_lookahead(group, "k", |lookahead| lookahead.k = k)
    }

    /// Changes alpha, from the next cycle on.
    ///
    /// # Errors
    ///
    /// As [`Self::set_k`].
    pub fn set_alpha(&mut self, group: &str, alpha: f64) -> Result<(), Error> {
        self.set_lookahead(group, "alpha", |lookahead| lookahead.alpha = alpha)
    }

    fn set_lookahead(
        &mut self,
        group: &str,
        what: &'static str,
        change: impl FnOnce(&mut Lookahead),
    ) -> Result<(), Error> {
        let group = self.group_mut(group)?;
        let Some(mut lookahead) = group.lookahead else {
            return Err(Error::NoLookahead { of: format!("the group `{}`", group.name) });
        };
        let (position, k) = (group.clock.position, lookahead.k);
        if position != 0 {
            return Err(Error::MidCycle { what, group: group.name.clone(), position, k });
        }
        change(&mut lookahead);
        lookahead.check()?;
        group.lookahead = Some(lookahead);
        Ok(())
    }

    /// Changes a group's learning rate, before schedule and factor.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`], [`Error::UnknownName`].
    pub fn set_learning_rate(&mut self, group: &str, lr: f64) -> Result<(), Error> {
        let group = self.group_mut(group)?;
        check_hyperparameter("lr", lr, lr >= 0.0, "finite and at least 0")?;
        group.learning_rate = lr;
        Ok(())
    }

    /// Changes a group's learning-rate factor.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`], [`Error::UnknownName`].
    pub fn set_learning_rate_factor(&mut self, group: &str, factor: f64) -> Result<(), Error> {
        let group = self.group_mut(group)?;
        check_factor(factor)?;
        group.factor = factor;
        Ok(())
    }

    /// Freezes a group (no inner steps, but syncs as any other) or lets it go on.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`].
    pub fn set_frozen(&mut self, group: &str, frozen: bool) -> Result<(), Error> {
        self.group_mut(group)?.frozen = frozen;
        self.norm_is_stale |= frozen;
        Ok(())
    }

    /// The gradients' norms before clipping, of the last step that the device has done: one value over all
    /// tensors, or one a tensor in the order of [`tensors`](Self::tensors). None without clipping by norm.
    pub fn gradient_norms(&self) -> Option<&wgpu::Buffer> {
        self.norm.as_ref().map(|norm| &norm.norms)
    }

    /// How many dispatches a step is, clipping's aside.
    pub fn dispatches(&self) -> usize {
        self.own.runs.len()
    }

    /// The bytes that one step must move.
    pub fn traffic(&self) -> Traffic {
        let mut traffic = Traffic { step: 0, sync: 0 };
        for tensor in &self.layout.tensors {
            let group = &self.groups[tensor.group];
            let bytes = 4 * tensor.len;
            let state = 2 * bytes * group.rule.slots().len() as u64;
            if !group.frozen {
                // Weights read and written, gradients read (twice where a norm is taken), state.
                traffic.step += 3 * bytes + state + if self.norm.is_some() { bytes } else { 0 };
            }
            if let Some(lookahead) = group.lookahead {
                let interpolates = lookahead.policy == StatePolicy::Interpolate;
                traffic.sync += 2 * bytes + if interpolates { state } else { 0 };
            }
        }
        traffic
    }

    pub(crate) fn group(&self, name: &str) -> Result<&GroupState, Error> {
        self.groups.iter().find(|group| group.name == name).ok_or_else(|| self.unknown_group(name))
    }

    fn group_mut(&mut self, name: &str) -> Result<&mut GroupState, Error> {
        match self.groups.iter().position(|group| group.name == name) {
            Some(index) => Ok(&mut self.groups[index]),
            None => Err(self.unknown_group(name)),
        }
    }

    fn unknown_group(&self, name: &str) -> Error {
        let known = list(self.groups());
        Error::UnknownName { what: "group", name: name.to_owned(), known }
    }
}
