//! How rules are listed.

use super::rule::Rule;

/// A rule as [`ALL`](crate::rules::ALL) lists it.
#[derive(Debug)]
pub struct Entry {
    /// What settings call it: `adamw`.
    pub name: &'static str,
    /// As it is written: `AdamW`.
    pub title: &'static str,
    /// What there is of it: the rule itself, and what settings make of it that has a WGSL text, slots or a name of its
    /// own.
    pub kinds: &'static [Kind],
    /// Whether its steps depend on their count, the first aside. Where they do not, PyTorch's SGD keeps no `step` in its
    /// state, nor do the Lions around.
    pub(crate) asks_count: bool,
}

/// A rule with the settings that make a kind of it: SGD with momentum, say.
#[derive(Debug)]
pub struct Kind {
    /// The name, another one for each: `heavy_ball`.
    pub name: &'static str,
    /// In words.
    pub title: &'static str,
    /// A learning rate to begin with: one that suits small networks, as in `examples/train`.
    pub learning_rate: f64,
    make: fn(f64) -> Box<dyn Rule>,
}

impl Kind {
    pub(super) const fn new(
        name: &'static str,
        title: &'static str,
        learning_rate: f64,
        make: fn(f64) -> Box<dyn Rule>,
    ) -> Self {
        Self { name, title, learning_rate, make }
    }

    /// The rule with this learning rate, all else at its defaults.
    pub fn rule(&self, learning_rate: f64) -> Box<dyn Rule> {
        (self.make)(learning_rate)
    }
}

/// What a rule's file gives the list.
pub(super) trait Listed {
    const ENTRY: Entry;
}
