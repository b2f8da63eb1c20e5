//! Lookahead's settings and its cycle: k inner steps, then a sync.

use crate::error::{Error, check_hyperparameter};

/// Lookahead (Zhang, Lucas, Hinton, Ba, 2019, Algorithm 1) around a rule: after every `k` inner steps
/// the slow weights phi move the fraction `alpha` towards the fast weights theta, which restart there:
///
/// ```text
/// phi <- phi + alpha (theta - phi);   theta <- phi
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lookahead {
    /// k, the synchronisation period in inner steps; at least 1.
    pub k: u32,
    /// alpha, the slow step size, in (0, 1]; 1 gives the rule alone.
    pub alpha: f64,
    /// What becomes of the rule's state at a sync.
    pub policy: StatePolicy,
}

impl Lookahead {
    /// With this k and alpha, and the state maintained.
    pub fn new(k: u32, alpha: f64) -> Self {
        Self { k, alpha, policy: StatePolicy::Maintain }
    }

    /// With this policy for the rule's state.
    pub fn policy(self, policy: StatePolicy) -> Self {
        Self { policy, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_hyperparameter("k", f64::from(self.k), self.k >= 1, "at least 1")?;
        let allowed = self.alpha > 0.0 && self.alpha <= 1.0;
        check_hyperparameter("alpha", self.alpha, allowed, "in (0, 1]")
    }
}

impl Default for Lookahead {
    /// The paper's defaults: k = 5, alpha = 0.5, the state maintained.
    fn default() -> Self {
        Self::new(5, 0.5)
    }
}

/// What becomes of the rule's state (every slot of it) at a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// What a dispatch does; the bits of `Control.flags` in `shaders/control.wgsl`.
pub(crate) mod flags {
    pub const UPDATE: u32 = 1;
    pub const SYNC: u32 = 2;
    pub const SEED: u32 = 4;
    pub const INIT: u32 = 8;
    pub const FIRST_CYCLE: u32 = 16;
}

/// Where a group stands: the host's half of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Inner steps since the state was last initialised.
    pub count: u64,
    /// Inner steps since the last sync.
    pub position: u32,
    /// The next dispatch copies the fast weights to the slow ones first.
    pub seed: bool,
    /// The next update starts from the initial state.
    pub init: bool,
    /// No sync has been yet: slow copies of the state are at its initial values.
    pub first_cycle: bool,
}

impl Clock {
    pub fn new() -> Self {
        Self { count: 0, position: 0, seed: true, init: true, first_cycle: true }
    }

    /// What the next step does to a group: the flags of its dispatch. 0 means no dispatch.
    pub fn next_step(&self, lookahead: Option<&Lookahead>, frozen: bool) -> u32 {
        let mut bits = 0;
        if !frozen {
            bits |= flags::UPDATE;
            if self.init {
                bits |= flags::INIT;
            }
        }
        if let Some(lookahead) = lookahead {
            if self.seed {
                bits |= flags::SEED;
            }
            if self.position + 1 >= lookahead.k {
                bits |= self.sync_bits();
            }
        }
        bits
    }

    /// What a sync between steps does.
    pub fn next_sync(&self) -> u32 {
        let mut bits = self.sync_bits();
        if self.seed {
            bits |= flags::SEED;
        }
        if self.init {
            bits |= flags::INIT;
        }
        bits
    }

    fn sync_bits(&self) -> u32 {
        flags::SYNC | if self.first_cycle { flags::FIRST_CYCLE } else { 0 }
    }

    /// After a step with these flags.
    pub fn step_taken(&mut self, bits: u32, lookahead: Option<&Lookahead>) {
        if bits & flags::UPDATE != 0 {
            self.count += 1;
            self.init = false;
        }
        let Some(lookahead) = lookahead else { return };
        self.seed = false;
        if bits & flags::SYNC != 0 {
            self.synced(lookahead);
        } else {
            self.position += 1;
        }
    }

    /// After a sync, be it a step's or one between steps.
    pub fn synced(&mut self, lookahead: &Lookahead) {
        self.seed = false;
        self.first_cycle = false;
        self.position = 0;
        if lookahead.policy == StatePolicy::Reset {
            self.count = 0;
            self.init = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of the first `steps` steps.
    fn run(lookahead: Option<Lookahead>, frozen: bool, steps: usize) -> (Vec<u32>, Clock) {
        let mut clock = Clock::new();
        let bits = (0..steps)
            .map(|_| {
                let bits = clock.next_step(lookahead.as_ref(), frozen);
                clock.step_taken(bits, lookahead.as_ref());
                bits
            })
            .collect();
        (bits, clock)
    }

    const FIRST: u32 = flags::UPDATE | flags::SEED | flags::INIT;
    const SYNC: u32 = flags::UPDATE | flags::SYNC;
    const FIRST_SYNC: u32 = SYNC | flags::FIRST_CYCLE;

    #[test]
    fn the_first_sync_is_right_after_step_k() {
        let (bits, clock) = run(Some(Lookahead::new(3, 0.5)), false, 7);
        assert_eq!(bits, [FIRST, 1, FIRST_SYNC, 1, 1, SYNC, 1]);
        assert_eq!((clock.count, clock.position), (7, 1));
    }

    #[test]
    fn a_period_of_one_syncs_at_every_step() {
        let (bits, _) = run(Some(Lookahead::new(1, 0.5)), false, 3);
        assert_eq!(bits, [FIRST | FIRST_SYNC, SYNC, SYNC]);
    }

    #[test]
    fn reset_starts_the_state_and_the_count_again() {
        let lookahead = Lookahead::new(2, 0.5).policy(StatePolicy::Reset);
        let (bits, clock) = run(Some(lookahead), false, 4);
        assert_eq!(bits, [FIRST, FIRST_SYNC, flags::UPDATE | flags::INIT, SYNC]);
        assert_eq!((clock.count, clock.init), (0, true));
    }

    #[test]
    fn frozen_groups_are_synchronised_and_not_updated() {
        let (bits, clock) = run(Some(Lookahead::new(2, 0.5)), true, 4);
        assert_eq!(bits, [flags::SEED, flags::SYNC | flags::FIRST_CYCLE, 0, flags::SYNC]);
        assert_eq!(clock.count, 0);
    }

    #[test]
    fn the_rule_alone_only_updates() {
        let (bits, clock) = run(None, false, 2);
        assert_eq!(bits, [flags::UPDATE | flags::INIT, flags::UPDATE]);
        assert_eq!(clock.position, 0);
        assert_eq!(run(None, true, 2).0, [0, 0]);
    }
}
