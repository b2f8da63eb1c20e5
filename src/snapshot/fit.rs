//! Whether a snapshot fits an optimizer, and what of it goes where: decided here, by name, before anything is written.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    data::{GroupSnapshot, Snapshot, TensorSnapshot},
    options::{Change, ImportOptions, Weights},
};
use crate::{
    config::{
        alpha::GradientAt,
        lookahead::{Lookahead, StatePolicy},
        outer::INTERPOLATION,
        schedule::Schedule,
    },
    engine::{Engine, Usage},
    error::{Error, check_hyperparameter, list},
    layout::{
        field::Field,
        guard_state::{Cycle, GuardState},
        params::ROWS,
        planes::iterates,
        tensors::Tensor,
    },
    optimizer::Optimizer,
    plan::{
        cycle::CycleState,
        group::{GroupState, check_replaces},
    },
    rules::{Rule, WeightDecay},
};

/// Steps that a counter can hold: all of them exact in f64.
const MAX_STEPS: u64 = 1 << 53;

/// What an import writes.
pub(super) struct Fit<'a> {
    /// For each of the optimizer's tensors, what each of its fields becomes.
    pub tensors: Vec<Vec<(Field<'static>, Cow<'a, [f32]>)>>,
    /// For each of the optimizer's groups.
    pub groups: Vec<GroupFit>,
    /// The guard's state.
    pub guard: GuardState,
    pub accumulated: u32,
    /// The next step begins a cycle, or variance reduction.
    pub slow_weights_moved: bool,
    /// None where the optimizer's stays.
    pub schedule: Option<Schedule>,
}

/// What becomes of a group.
pub(super) struct GroupFit {
    pub cycle: CycleState,
    pub learning_rate: f64,
    pub factor: f64,
    pub weight_decay: WeightDecay,
    pub lookahead: Option<Lookahead>,
    pub frozen: bool,
    /// None where the optimizer's stays.
    pub rule: Option<Arc<dyn Rule>>,
}

/// All that is wrong, and what an option would take.
struct Findings<'a> {
    options: &'a ImportOptions,
    problems: Vec<String>,
    changes: BTreeSet<Change>,
    /// Some of the problems no option takes.
    is_hopeless: bool,
}

impl Findings<'_> {
    fn add(&mut self, problem: String) {
        self.is_hopeless = true;
        self.problems.push(problem);
    }

    /// Notes a difference that an option takes. Each kind is told once.
    fn differs(&mut self, change: Change, problem: impl FnOnce() -> String) {
        if self.changes.insert(change) && !change.is_allowed(self.options) {
            let problem = problem();
            // One outer step in place of another is two changes.
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }

    fn result(mut self) -> Result<(), Error> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let options: String = self
            .changes
            .iter()
            .filter(|change| !change.is_allowed(self.options))
            .map(|change| format!(".{}", change.option()))
            .collect();
        if !options.is_empty() {
            let outcome = if self.is_hopeless { "take the rest" } else { "go on from it" };
            self.problems.push(format!("`import_with` and `ImportOptions::new(){options}` would {outcome}"));
        }
        Err(Error::Snapshot { problem: self.problems.join("; ") })
    }
}

/// What an import begins or gives up as a whole.
struct Differences {
    begins_lookahead: bool,
    ends_lookahead: bool,
    outer: bool,
    /// The snapshot has no average, and the optimizer one.
    begins_average: bool,
    /// The snapshot has no full gradients, and the optimizer takes them.
    begins_reduction: bool,
    begins_loss_scale: bool,
    ends_loss_scale: bool,
}

/// The positions of names, and the names that are there twice.
fn by_name<'a>(names: impl Iterator<Item = &'a str>) -> (HashMap<&'a str, usize>, Vec<&'a str>) {
    let (mut places, mut twice) = (HashMap::new(), Vec::new());
    for (index, name) in names.enumerate() {
        if places.insert(name, index).is_some() {
            twice.push(name);
        }
    }
    (places, twice)
}

/// Matches what is here with what is there, by name: the place there of each one here. What is there twice, missing
/// or left over is noted.
fn matched<'a>(
    what: &str,
    here: impl Iterator<Item = &'a str> + Clone,
    there: impl Iterator<Item = &'a str> + Clone,
    findings: &mut Findings<'_>,
) -> Vec<Option<usize>> {
    let (places, twice) = by_name(there.clone());
    let (known, _) = by_name(here.clone());
    let mut note = |names: Vec<&str>, problem: &dyn Fn(&str, &str) -> String| {
        if !names.is_empty() {
            let plural = if names.len() == 1 { "" } else { "s" };
            findings.add(problem(&format!("{what}{plural}"), &list(names.into_iter())));
        }
    };
    note(twice, &|what, names| format!("it has the {what} {names} twice"));
    let missing = here.clone().filter(|name| !places.contains_key(name)).collect();
    note(missing, &|what, names| format!("it lacks the {what} {names}"));
    let left_over = there.filter(|name| !known.contains_key(name)).collect();
    note(left_over, &|what, names| format!("it has the {what} {names}, of which the optimizer has none"));
    here.map(|name| places.get(name).copied()).collect()
}

impl<E: Engine> Optimizer<E> {
    /// What an import of this snapshot writes.
    pub(super) fn fit<'a>(&self, snapshot: &'a Snapshot, options: &ImportOptions) -> Result<Fit<'a>, Error> {
        let mut findings =
            Findings { options, problems: vec![], changes: BTreeSet::new(), is_hopeless: false };
        self.check_counters(snapshot, &mut findings);
        let here = self.plan.state.groups.iter().map(|group| group.name.as_str());
        let there = snapshot.groups.iter().map(|group| group.name.as_str());
        let group_places = matched("group", here, there, &mut findings);
        let here = self.plan.layout.tensors.iter().map(|tensor| tensor.name.as_str());
        let there = snapshot.tensors.iter().map(|tensor| tensor.name.as_str());
        let tensor_places = matched("tensor", here, there, &mut findings);

        let group_of = |index: usize| group_places[index].map(|place| &snapshot.groups[place]);
        let differences = self.differences(snapshot, group_of, &mut findings);
        let mut groups = Vec::new();
        let mut cycles = Vec::new();
        let mut kept = vec![vec![]; self.plan.state.groups.len()];
        for (index, group) in self.plan.state.groups.iter().enumerate() {
            let Some(from) = group_of(index) else { continue };
            let (fitted, cycle) = self.fit_group(group, from, &mut findings);
            kept[index] = self.kept_iterates(&fitted);
            groups.push(fitted);
            cycles.push(cycle);
        }
        let mut tensors = Vec::new();
        for (index, tensor) in self.plan.layout.tensors.iter().enumerate() {
            let Some(place) = tensor_places[index] else { continue };
            let (from, group) = (&snapshot.tensors[place], group_of(tensor.group));
            let kept = kept[tensor.group].as_slice();
            let fields =
                self.fit_tensor(index, tensor, from, group, kept, &differences, snapshot, &mut findings);
            let is_whole = has_iterates(&fields, kept);
            groups.get_mut(tensor.group).into_iter().for_each(|fitted| fitted.cycle.whole &= is_whole);
            tensors.push(fields);
        }
        findings.result()?;
        if let Some(slices) = &self.borrowed {
            for (tensor, slice) in self.plan.layout.tensors.iter().zip(slices) {
                slice.check_usage("weights", &tensor.name, Usage::CopyDst)?;
            }
        }
        let guard = self.fit_guard(snapshot, &differences, &groups, cycles);
        let begins = |group: &GroupFit| group.cycle.position == 0;
        Ok(Fit {
            slow_weights_moved: differences.begins_reduction || groups.iter().any(begins),
            tensors,
            groups,
            guard,
            accumulated: snapshot.accumulated,
            schedule: snapshot.schedule.clone().filter(|_| !options.keep_settings),
        })
    }

    fn fit_guard(
        &self,
        snapshot: &Snapshot,
        differences: &Differences,
        groups: &[GroupFit],
        cycles: Vec<Cycle>,
    ) -> GuardState {
        let (tracker, scale, unscale) = match self.plan.options.guard.and_then(|guard| guard.loss_scale) {
            Some(fresh) if differences.begins_loss_scale => {
                (0, fresh.initial as f32, (fresh.initial as f32).recip())
            }
            _ if differences.ends_loss_scale => (0, 1.0, 1.0),
            _ => (snapshot.since_rescaled, snapshot.loss_scale, snapshot.loss_unscale),
        };
        GuardState {
            steps: snapshot.steps,
            skipped: snapshot.skipped,
            tracker,
            scale,
            unscale,
            average_start: if differences.begins_average { snapshot.steps } else { snapshot.average_start },
            groups: groups.iter().map(|group| (group.cycle.count, group.cycle.position)).collect(),
            cycles,
            kept: groups.iter().map(|group| self.kept_iterates(group).len() as u32).collect(),
        }
    }

    fn check_counters(&self, snapshot: &Snapshot, findings: &mut Findings<'_>) {
        let counts = snapshot.groups.iter().map(|group| group.count);
        let steps = counts.chain([snapshot.steps]).max().unwrap_or(0);
        if steps >= MAX_STEPS {
            findings.add(format!("it counts {steps} steps, and 2^53 is the most"));
        } else if self.plan.guard.is_some() && steps.max(snapshot.skipped) > u64::from(u32::MAX) {
            findings.add(format!("it counts {steps} steps, and a guard counts to 2^32"));
        }
        let (start, steps) = (snapshot.average_start, snapshot.steps);
        if start > steps {
            findings.add(format!("its average began after {start} steps, and it counts {steps}"));
        }
        let scale = snapshot.loss_scale;
        if !(1e-30..=1e30).contains(&scale) {
            findings.add(format!("its loss scale is {scale}, and must be in [1e-30, 1e30]"));
        }
        let unscale = snapshot.loss_unscale;
        if !(0.999..=1.001).contains(&(unscale * scale)) {
            findings.add(format!("its loss scale is {scale}, and the inverse of it {unscale}"));
        }
        let (here, there) = (self.plan.options.micro_batches(), snapshot.accumulated);
        if there >= here {
            findings.add(format!("{there} micro-batches are accumulated in it, and a step has {here} here"));
        }
        if let Some(Err(problem)) = snapshot.schedule.as_ref().map(Schedule::check) {
            findings.add(format!("its schedule is none: {problem}"));
        }
    }

    /// What differs as a whole, noted once and not for each tensor.
    fn differences<'a>(
        &self,
        snapshot: &'a Snapshot,
        group_of: impl Fn(usize) -> Option<&'a GroupSnapshot>,
        findings: &mut Findings<'_>,
    ) -> Differences {
        let has = |field: Field<'_>| snapshot.tensors.iter().any(|tensor| tensor.field(field).is_some());
        let (has_average, has_full) = (has(Field::Average), has(Field::FullGradients));
        let mut differences = Differences {
            begins_lookahead: false,
            ends_lookahead: false,
            outer: false,
            begins_average: self.plan.options.average.is_some() && !has_average,
            begins_reduction: self.plan.options.variance_reduced && !has_full,
            begins_loss_scale: false,
            ends_loss_scale: false,
        };
        for (index, group) in self.plan.state.groups.iter().enumerate() {
            let Some(from) = group_of(index) else { continue };
            let (name, there) = (&group.name, from.policy);
            let here = group.lookahead.map(|lookahead| lookahead.policy);
            let differ = || {
                let [there, here] = [there, here].map(around);
                format!("the group `{name}` is of {there} in it and of {here} here")
            };
            match (there, here) {
                (None, Some(_)) => {
                    differences.begins_lookahead = true;
                    findings.differs(Change::BeginLookahead, differ);
                }
                (Some(_), None) => {
                    differences.ends_lookahead = true;
                    findings.differs(Change::EndLookahead, differ);
                }
                (Some(there), Some(here)) if there != here => {
                    findings.differs(Change::Policy, differ);
                }
                _ => {}
            }
        }
        self.outer_differs(snapshot, &mut differences, findings);
        match (has_average, self.plan.options.average.is_some()) {
            (false, true) if !snapshot.tensors.is_empty() => {
                findings.differs(Change::BeginAverage, || "it has no average of the weights".to_owned());
            }
            (true, false) => {
                let differ = || "it has an average of the weights, and none is kept here".to_owned();
                findings.differs(Change::EndAverage, differ);
            }
            _ => {}
        }
        self.reduction_differs(snapshot, has_full, findings);
        self.loss_scaling_differs(snapshot, &mut differences, findings);
        differences
    }

    fn outer_differs(&self, snapshot: &Snapshot, differences: &mut Differences, findings: &mut Findings<'_>) {
        let (here, there) = (self.plan.options.outer.name(), &snapshot.outer);
        differences.outer = here != there;
        if differences.outer && !differences.begins_lookahead && !differences.ends_lookahead {
            let differ = || format!("its outer step is `{there}`, and `{here}` here");
            if there != INTERPOLATION {
                findings.differs(Change::EndOuter, differ);
            }
            if !self.plan.options.outer.is_interpolation() {
                findings.differs(Change::BeginOuter, differ);
            }
        }
    }

    /// `has`: the snapshot has full gradients.
    fn reduction_differs(&self, snapshot: &Snapshot, has: bool, findings: &mut Findings<'_>) {
        match (has, self.plan.options.variance_reduced) {
            (false, true) if !snapshot.tensors.is_empty() => {
                findings.differs(Change::BeginVarianceReduction, || "it has no full gradients".to_owned());
            }
            (true, false) => {
                let differ = || "it has full gradients, and variance is not reduced here".to_owned();
                findings.differs(Change::EndVarianceReduction, differ);
            }
            _ => {}
        }
        if snapshot.accumulated > 0
            && !snapshot.tensors.is_empty()
            && has != self.plan.options.variance_reduced
        {
            findings.add(
                "micro-batches are accumulated in it whose gradients were corrected otherwise; export after their step"
                    .to_owned(),
            );
        }
    }

    fn loss_scaling_differs(
        &self,
        snapshot: &Snapshot,
        differences: &mut Differences,
        findings: &mut Findings<'_>,
    ) {
        let here = self.plan.options.guard.is_some_and(|guard| guard.loss_scale.is_some());
        // Older files do not tell.
        let there = snapshot.loss_scaling.unwrap_or(here || snapshot.loss_scale != 1.0);
        match (there, here) {
            (false, true) => {
                differences.begins_loss_scale = true;
                findings.differs(Change::BeginLossScale, || "it has no loss scaling".to_owned());
            }
            (true, false) => {
                differences.ends_loss_scale = true;
                let scale = snapshot.loss_scale;
                let differ = || format!("its loss is scaled, by {scale} now, and is not here");
                findings.differs(Change::EndLossScale, differ);
            }
            _ => {}
        }
        if there != here && snapshot.accumulated > 0 {
            let accumulated = snapshot.accumulated;
            findings.add(format!(
                "{accumulated} micro-batches are accumulated in it with the loss scale {}, which cannot be changed before \
                 their step",
                snapshot.loss_scale
            ));
        }
    }

    /// A group's settings and where it stands, and what a guard's cycle has latched.
    fn fit_group(
        &self,
        group: &GroupState,
        from: &GroupSnapshot,
        findings: &mut Findings<'_>,
    ) -> (GroupFit, Cycle) {
        let name = &group.name;
        let keeps = findings.options.keep_settings;
        if group.rule.name() != from.rule {
            let (there, here) = (&from.rule, group.rule.name());
            findings.add(format!("the rule of the group `{name}` is `{there}` in it and `{here}` here"));
        }
        let both = group.lookahead.filter(|_| from.policy.is_some());
        let there = both.map(|lookahead| Lookahead {
            k: from.k.unwrap_or(lookahead.k),
            alpha: from.alpha.unwrap_or(lookahead.alpha),
            ..lookahead
        });
        let lookahead = if keeps { group.lookahead } else { there.or(group.lookahead) };
        let mut fitted = GroupFit {
            cycle: CycleState::at(from.count, from.position, !from.initialised),
            learning_rate: group.learning_rate,
            factor: group.factor,
            weight_decay: group.weight_decay,
            lookahead,
            frozen: group.frozen,
            rule: None,
        };
        if !keeps {
            fitted.learning_rate = from.learning_rate;
            fitted.factor = from.learning_rate_factor;
            fitted.frozen = from.frozen.unwrap_or(group.frozen);
            if let Some(factor) = from.weight_decay.filter(|factor| *factor != group.weight_decay.factor()) {
                fitted.weight_decay = group.weight_decay.with_factor(factor);
            }
            if group.rule.name() == from.rule {
                fitted.rule = hyperparameters(group, from, findings);
            }
        }
        for outcome in [
            check_hyperparameter("lr", fitted.learning_rate, |lr| lr >= 0.0, "finite and at least 0"),
            crate::config::group::check_factor(fitted.factor),
            fitted.weight_decay.check(),
            there.map_or(Ok(()), |lookahead| lookahead.check()),
            check_hyperparameter("tasks", f64::from(from.tasks), |tasks| tasks >= 1.0, "at least 1"),
            self.check_columns(fitted.lookahead),
        ] {
            if let Err(problem) = outcome {
                findings.add(format!("the group `{name}`: {problem}"));
            }
        }
        let Some(there) = there else {
            // A cycle begins, or there are none. Slow weights are written as any other field.
            (fitted.cycle.position, fitted.cycle.init) = (0, group.lookahead.is_none());
            return (fitted, Cycle::of(lookahead.as_ref()));
        };
        self.check_cycle(group, from, &there, &fitted, findings);
        let cycle = from.cycle.map(|cycle| Cycle { k: cycle.k, one_minus_alpha: cycle.one_minus_alpha });
        (fitted, cycle.unwrap_or_else(|| Cycle::of(Some(&there))))
    }

    /// Refuses a cycle that is too short for Anderson acceleration.
    fn check_columns(&self, lookahead: Option<Lookahead>) -> Result<(), Error> {
        let both = self.plan.options.anderson.zip(lookahead);
        both.map_or(Ok(()), |(anderson, lookahead)| anderson.check_cycle(&lookahead))
    }

    /// The iterates that a group's cycle under way has kept so far.
    fn kept_iterates(&self, fitted: &GroupFit) -> Vec<u32> {
        let iterates = iterates(fitted.lookahead.as_ref(), self.plan.options.anderson);
        fitted.cycle.kept(&iterates).to_vec()
    }

    /// Refuses a position that the cycle does not have. `there`: the settings in the snapshot.
    fn check_cycle(
        &self,
        group: &GroupState,
        from: &GroupSnapshot,
        there: &Lookahead,
        fitted: &GroupFit,
        findings: &mut Findings<'_>,
    ) {
        let name = &group.name;
        let next = fitted.lookahead.unwrap_or(*there);
        let guarded = self.plan.guard.is_some();
        let mut k = next.k;
        if guarded {
            k = from.cycle.map_or(there.k, |cycle| cycle.k);
            if next.policy.resets() && u64::from(next.k.max(k)) > ROWS {
                findings.add(format!(
                    "the k of the group `{name}` is {}, and with a guard and the policy reset at most {ROWS}",
                    next.k.max(k)
                ));
            }
        } else if let Some(cycle) =
            from.cycle.filter(|_| from.position > 0 && !findings.options.keep_settings)
        {
            findings.add(format!(
                "the cycle under way of the group `{name}` has k = {} and alpha = {}, and the next one k = {} and \
                 alpha = {}: that takes a guard, or an export after the sync",
                cycle.k,
                1.0 - cycle.one_minus_alpha,
                there.k,
                there.alpha
            ));
            return;
        }
        let one_minus_alpha = from.cycle.map_or(0.0, |cycle| cycle.one_minus_alpha);
        if !(0.0..=1.0).contains(&one_minus_alpha) || k == 0 {
            findings.add(format!(
                "the cycle of the group `{name}` has k = {k} and alpha = {}",
                1.0 - one_minus_alpha
            ));
        }
        let round = Lookahead { k, ..next };
        if check_round(name, from, there.k, &round, findings) {
            self.check_position(name, k, next.tasks, from.position, findings);
        }
    }

    /// Refuses a place that no round of so many tasks of k steps has.
    fn check_position(&self, name: &str, k: u32, tasks: u32, position: u32, findings: &mut Findings<'_>) {
        if k.checked_mul(tasks).is_none() {
            findings.add(format!(
                "the round of the group `{name}` has {tasks} tasks of {k} steps, and fewer than 2^32 are counted"
            ));
        }
        // A cycle whose alpha takes a gradient at theta_k has one more step.
        let gradient = self.plan.options.adaptive.map(|adaptive| adaptive.gradient);
        let k = k.saturating_mul(tasks).saturating_add(u32::from(gradient == Some(GradientAt::Synchronised)));
        if position >= k {
            findings.add(format!("the group `{name}` is at step {position} of a cycle of {k} here"));
        }
    }

    /// What each field of a tensor becomes.
    #[allow(clippy::too_many_arguments)]
    fn fit_tensor<'a>(
        &self,
        index: usize,
        tensor: &Tensor,
        from: &'a TensorSnapshot,
        group: Option<&GroupSnapshot>,
        kept: &[u32],
        differences: &Differences,
        snapshot: &Snapshot,
        findings: &mut Findings<'_>,
    ) -> Vec<(Field<'static>, Cow<'a, [f32]>)> {
        let name = &tensor.name;
        if tensor.shape != from.shape {
            let (there, here) = (&from.shape, &tensor.shape);
            findings.add(format!("its tensor `{name}` {there:?} is {here:?} here"));
            return vec![];
        }
        let (there, here) = (&from.group, &self.plan.state.groups[tensor.group]);
        if here.name != *there {
            findings.add(format!("the group of its tensor `{name}` is `{there}`, and `{}` here", here.name));
            return vec![];
        }
        let Some(group) = group else { return vec![] };
        let mut stored: BTreeMap<&str, &'a [f32]> = BTreeMap::new();
        for (field, values) in &from.fields {
            if stored.insert(field, values).is_some() {
                findings.add(format!("`{name}` has `{field}` twice in it"));
            }
        }
        let policy = here.lookahead.map(|lookahead| lookahead.policy);
        let ends_lookahead = group.policy.is_some() && policy.is_none();
        let takes_slow = ends_lookahead && findings.options.end_lookahead == Some(Weights::Slow);
        let case = Case {
            from,
            begins_lookahead: group.policy.is_none() && policy.is_some(),
            ends_lookahead,
            changes_policy: group.policy != policy,
            takes_slow,
            keeps_average: self.plan.options.average.is_some(),
            reduces_variance: self.plan.options.variance_reduced,
            differences,
            accumulated: snapshot.accumulated,
            is_first_task: group.position < group.cycle.map(|cycle| cycle.k).or(group.k).unwrap_or(1),
        };
        let iterates = kept.iter().map(|step| Field::Iterate(*step));
        let others = self.plan.fields_of(index).into_iter();
        let others = others.filter(|field| !matches!(field, Field::Iterate(_)));
        let fields = others.chain(iterates).filter_map(|field| {
            let len = self.plan.field_len(field, index);
            Some((field, case.values(field, len, &mut stored, findings)?))
        });
        let fields = fields.collect();
        for key in stored.into_keys().filter(|key| !case.is_given_up(key, findings)).collect::<Vec<_>>() {
            findings.add(format!("`{name}` has `{key}` in it, which is not kept here"));
        }
        fields
    }
}

/// Whether a round under way goes on as `here`; refused where tasks are of another k, or where the first has ended and a
/// round has another number of them. `k`: that which is set in the snapshot.
fn check_round(
    name: &str,
    from: &GroupSnapshot,
    k: u32,
    here: &Lookahead,
    findings: &mut Findings<'_>,
) -> bool {
    let k = from.cycle.map_or(k, |cycle| cycle.k);
    let has_mean = from.position >= k;
    let differs = (here.has_tasks() && k != here.k) || (has_mean && from.tasks != here.tasks);
    if from.position == 0 || !differs {
        return true;
    }
    let round = |tasks, k| format!("{tasks} task{} of {k} steps", if tasks == 1 { "" } else { "s" });
    findings.add(format!(
        "the group `{name}` is in the middle of a round of {}, and a round has {} here: export between two rounds",
        round(from.tasks, k),
        round(here.tasks, here.k)
    ));
    false
}

/// What an import begins and gives up of one tensor.
struct Case<'a, 'b> {
    from: &'a TensorSnapshot,
    begins_lookahead: bool,
    ends_lookahead: bool,
    changes_policy: bool,
    /// The weights become the slow ones.
    takes_slow: bool,
    keeps_average: bool,
    reduces_variance: bool,
    differences: &'b Differences,
    accumulated: u32,
    /// No task of its round has ended, so that nothing hangs on their mean.
    is_first_task: bool,
}

impl<'a> Case<'a, '_> {
    /// The weights' name in the snapshot.
    fn weights(&self) -> Field<'static> {
        if self.takes_slow { Field::SlowWeights } else { Field::Weights }
    }

    /// A field starts anew where the snapshot does not have it.
    fn begins(&self, field: Field<'_>) -> bool {
        match field {
            Field::SlowWeights => self.begins_lookahead,
            Field::SlowState(_) => self.changes_policy,
            Field::Outer(_) => self.begins_lookahead || self.differences.outer,
            Field::Average => self.differences.begins_average,
            Field::Accumulated => self.accumulated == 0,
            Field::TaskMean => self.is_first_task,
            Field::SnapshotGradients | Field::FullGradients => self.differences.begins_reduction,
            Field::Fisher | Field::Curvature => true,
            Field::Weights | Field::Gradients | Field::HalfWeights | Field::State(_) | Field::Iterate(_) => {
                false
            }
        }
    }

    /// What a field of `len` values becomes; it is taken out of what is stored.
    fn values(
        &self,
        field: Field<'static>,
        len: u64,
        stored: &mut BTreeMap<&str, &'a [f32]>,
        findings: &mut Findings<'_>,
    ) -> Option<Cow<'a, [f32]>> {
        let name = &self.from.name;
        let key = if field == Field::Weights { self.weights() } else { field }.to_string();
        // Buffers of an outer step are another one's, even where they have one name.
        let is_old = matches!(field, Field::Outer(_)) && self.differences.outer;
        match stored.remove(key.as_str()).filter(|_| !is_old) {
            Some(values) => {
                if values.len() as u64 != len {
                    let found = values.len();
                    findings.add(format!("`{key}` of `{name}` has {found} values, not {len}"));
                }
                Some(Cow::Borrowed(values))
            }
            None if matches!(field, Field::Iterate(_)) => {
                let differ =
                    || format!("it has no `{key}` of `{name}`, which the cycle under way would have kept");
                findings.differs(Change::BeginAnderson, differ);
                None
            }
            None if self.begins(field) => {
                if matches!(field, Field::Fisher | Field::Curvature) && !self.begins_lookahead {
                    let differ = || format!("it has no `{key}` of `{name}`");
                    findings.differs(Change::BeginCurvature, differ);
                }
                let copied = match field {
                    Field::SlowWeights | Field::Average => Some(self.weights()),
                    Field::SlowState(slot) => Some(Field::State(slot)),
                    _ => None,
                };
                let copied = copied.and_then(|field| self.from.values(&field.to_string()));
                Some(copied.map_or_else(|| Cow::Owned(vec![0.0; len as usize]), Cow::Borrowed))
            }
            None => {
                findings.add(format!("`{key}` of `{name}` is missing in it"));
                None
            }
        }
    }

    /// What the snapshot has besides ends with the import.
    fn is_given_up(&self, key: &str, findings: &mut Findings<'_>) -> bool {
        match Field::parse(key) {
            Some(Field::Weights) => self.takes_slow,
            Some(Field::SlowWeights) => self.ends_lookahead,
            Some(Field::SlowState(_)) => self.changes_policy,
            Some(Field::Outer(_)) => self.ends_lookahead || self.differences.outer,
            Some(Field::Average) => !self.keeps_average,
            Some(Field::Iterate(_)) => {
                if !self.ends_lookahead {
                    let name = &self.from.name;
                    findings.differs(Change::EndAnderson, || {
                        format!("`{name}` has `{key}` in it, which this cycle does not keep here")
                    });
                }
                true
            }
            Some(Field::Accumulated) => self.accumulated == 0,
            Some(Field::TaskMean) => self.ends_lookahead || self.is_first_task,
            Some(Field::FullGradients) => !self.reduces_variance,
            Some(Field::Fisher | Field::Curvature) => {
                if !self.ends_lookahead {
                    let name = &self.from.name;
                    findings.differs(Change::EndCurvature, || {
                        format!("`{name}` has `{key}` in it, which is not kept here")
                    });
                }
                true
            }
            _ => false,
        }
    }
}

/// The rule with the snapshot's hyperparameters; none where they are the group's, or cannot be had.
fn hyperparameters(
    group: &GroupState,
    from: &GroupSnapshot,
    findings: &mut Findings<'_>,
) -> Option<Arc<dyn Rule>> {
    let (name, here) = (&group.name, group.rule.hyperparameters());
    let bits = |value: f64| value.to_bits();
    let same = here.len() == from.hyperparameters.len()
        && here.iter().zip(&from.hyperparameters).all(|(a, b)| a.0 == b.0 && bits(a.1) == bits(b.1));
    // Older files do not tell them, nor do rules that name none.
    if same || from.hyperparameters.is_empty() {
        return None;
    }
    let (there, twice) = by_name(from.hyperparameters.iter().map(|(name, _)| name.as_str()));
    let names: Vec<_> = here.iter().map(|(name, _)| *name).collect();
    if names.len() != there.len() || !twice.is_empty() || !names.iter().all(|name| there.contains_key(name)) {
        let (there, here) =
            (list(there.into_keys().collect::<BTreeSet<_>>().into_iter()), list(names.into_iter()));
        findings.add(format!("the hyperparameters of the group `{name}` are {there} in it, and {here} here"));
        return None;
    }
    let value = |name: &str| there.get(name).map(|place| from.hyperparameters[*place].1);
    let shown = || {
        let shown = from.hyperparameters.iter().map(|(name, value)| format!("{name} = {value}"));
        shown.collect::<Vec<_>>().join(", ")
    };
    let Some(rule) = group.rule.with_hyperparameters(&value) else {
        let problem =
            format!("the rule of the group `{name}` does not take {}, as it has them in it", shown());
        findings.add(problem);
        return None;
    };
    let rule: Arc<dyn Rule> = Arc::from(rule);
    let checked = crate::kernels::check(rule.as_ref())
        .and_then(|()| check_replaces(group.rule.as_ref(), rule.as_ref()));
    if let Err(problem) = checked {
        findings.add(format!(
            "the group `{name}` has {} in it: {problem}, with these hyperparameters, or import with \
             `ImportOptions::keep_settings`",
            shown()
        ));
        return None;
    }
    Some(rule)
}

/// Whether a tensor has all of these iterates.
fn has_iterates(fields: &[(Field<'static>, Cow<'_, [f32]>)], kept: &[u32]) -> bool {
    fields.iter().filter(|(field, _)| matches!(field, Field::Iterate(_))).count() == kept.len()
}

/// What is around a group's rule, in words.
fn around(policy: Option<StatePolicy>) -> String {
    policy.map_or_else(
        || "the rule alone".to_owned(),
        |policy| format!("Lookahead with the state policy {policy:?}"),
    )
}
