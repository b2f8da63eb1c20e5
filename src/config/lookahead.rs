//! Lookahead's settings: k, alpha, and what becomes of the rule's state at a sync.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_hyperparameter};

/// Lookahead (Zhang, Lucas, Hinton, Ba, 2019, Algorithm 1) around a rule: after every `k` inner steps
/// the slow weights phi move the fraction `alpha` towards the fast weights theta, which restart there:
///
/// ```text
/// phi <- phi + alpha (theta - phi);   theta <- phi
/// ```
///
/// With [`tasks`](Self::tasks) above 1 the slow weights move once in so many cycles, towards the mean of theirs: Reptile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Lookahead {
    /// k, the synchronisation period in inner steps; at least 1.
    pub k: u32,
    /// alpha, the slow step size, in (0, 1]; 1 gives the rule alone.
    pub alpha: f64,
    /// What becomes of the rule's state at a sync.
    pub policy: StatePolicy,
    /// n, the cycles of a round, each for a task: at least 1, which is Lookahead.
    #[serde(skip_serializing_if = "is_one")]
    pub tasks: u32,
}

pub(crate) fn is_one(tasks: &u32) -> bool {
    *tasks == 1
}

impl Lookahead {
    /// With this k and alpha, and the state maintained.
    pub fn new(k: u32, alpha: f64) -> Self {
        Self { k, alpha, policy: StatePolicy::Maintain, tasks: 1 }
    }

    /// With this synchronisation period.
    pub fn k(self, k: u32) -> Self {
        Self { k, ..self }
    }

    /// With this slow step size.
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// With this policy for the rule's state.
    pub fn policy(self, policy: StatePolicy) -> Self {
        Self { policy, ..self }
    }

    /// With rounds of this many tasks, one after the other, which is **Reptile** (Nichol, Achiam, Schulman, 2018,
    /// "On first-order meta-learning algorithms", its batched version): in each task the fast weights start at the slow ones
    /// and take k inner steps, and when all n are through the slow weights move towards the mean of where they came to,
    ///
    /// ```text
    /// for task j = 1 .. n:   theta <- phi;   k inner steps on the task;   mean <- mean + (theta - mean) / j
    /// phi <- phi + alpha (mean - phi);   theta <- phi
    /// ```
    ///
    /// with any [outer step](crate::outer) in the place of the last line. The slow weights are then such that a few steps fit
    /// a new task of the same kind. The caller gives each task's gradients in turn: which task the next step belongs to,
    /// [`Optimizer::task`](crate::Optimizer::task) tells, and with a guard, whose skipped steps do not count,
    /// [`counters`](crate::Optimizer::counters). With n = 1 it is Lookahead, and its very kernels; `examples/reptile` learns
    /// sine waves.
    ///
    /// - *Cost.* One more buffer of the weights' size ([`Field::TaskMean`](crate::Field::TaskMean)); at the end of each task
    ///   the mean is read and written and the slow weights are read, in the k-th step's own dispatch.
    /// - *The rule's state* goes on from task to task (maintain), or begins anew with each (reset), as the paper has it for
    ///   Adam. Interpolate is refused: its slow copy would have to wait for a mean of the tasks' states.
    /// - [`sync_now`](crate::Optimizer::sync_now) ends the round with the tasks so far, the one under way among them as
    ///   far as it came; [`init_synced`](crate::Optimizer::init_synced) begins the round anew.
    /// - k and alpha change between rounds. A group's round is its own, of n of its cycles.
    /// - A group that is frozen in the middle of a round ends it without moving: its fast weights return to the slow ones at
    ///   the task's end, and the tasks that it sits out count as tasks that came to where they began.
    /// - With bf16 slow weights the first task of a round starts at the value before rounding, the others at the rounded one.
    /// - An adaptive alpha is refused: it takes a gradient at the fast weights, of which there are n.
    pub fn tasks(self, tasks: u32) -> Self {
        Self { tasks, ..self }
    }

    /// Whether a round has several tasks, for which a plane is kept.
    pub(crate) fn has_tasks(&self) -> bool {
        self.tasks > 1
    }

    /// Steps from one move of the slow weights to the next.
    pub(crate) fn round(&self) -> u32 {
        self.k.saturating_mul(self.tasks)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_hyperparameter("k", f64::from(self.k), |k| k >= 1.0, "at least 1")?;
        let tasks = f64::from(self.tasks);
        check_hyperparameter("tasks", tasks, |tasks| tasks >= 1.0, "at least 1")?;
        check_hyperparameter("tasks", tasks, |tasks| tasks < 16_777_216.0, "below 2^24")?;
        let is_counted = u64::from(self.k) * u64::from(self.tasks) <= u64::from(u32::MAX);
        check_hyperparameter("tasks", tasks, |_| is_counted, "such that k tasks is below 2^32")?;
        let has_mean = !(self.has_tasks() && self.policy.keeps_slow_state());
        check_hyperparameter("tasks", tasks, |_| has_mean, "1 with the policy interpolate")?;
        check_alpha("alpha", self.alpha)
    }
}

impl Default for Lookahead {
    /// The paper's defaults: k = 5, alpha = 0.5, the state maintained.
    fn default() -> Self {
        Self::new(5, 0.5)
    }
}

/// Refuses a slow step size with which slow weights would not move: the GPU is told `1 - alpha`, which f32 has as 1
/// where alpha is below 2^-25.
pub(crate) fn check_alpha(name: &str, alpha: f64) -> Result<(), Error> {
    check_hyperparameter(name, alpha, |alpha| alpha > 0.0 && alpha <= 1.0, "in (0, 1]")?;
    check_hyperparameter(name, alpha, |alpha| (1.0 - alpha) as f32 != 1.0, "at least 3e-8")
}

/// What becomes of the rule's state (every slot of it) at a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatePolicy {
    /// It goes on as it is.
    #[default]
    Maintain,
    /// A slow copy of every slot, starting at the slot's initial value, moves towards it by alpha, and
    /// the slot restarts there. The step count goes on.
    Interpolate,
    /// Every slot returns to its initial value, and the step count to 0.
    Reset,
}

impl StatePolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Maintain, Self::Interpolate, Self::Reset];

    /// Whether a slow copy of every slot is kept.
    pub fn keeps_slow_state(self) -> bool {
        matches!(self, Self::Interpolate)
    }

    /// Whether a sync ends what the state has gathered: every slot begins anew, and the step count at 0.
    pub fn resets(self) -> bool {
        matches!(self, Self::Reset)
    }
}
