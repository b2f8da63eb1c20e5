//! The inner optimizers that the command line knows: every kind of rule that the library lists, so that a new one needs
//! nothing here.

use crate::settings::write_name;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use lookahead_wgpu::Rule;
use lookahead_wgpu::rules::{self, Kind};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt::{self, Display};
use std::sync::LazyLock;

/// A rule that factors its second moments does so for tensors whose dimensions are this large. The usual 128 is beyond
/// small networks.
const LEAST_FACTORED: (&str, f64) = ("min_dim_size_to_factor", 8.0);

/// An inner optimizer, called as on the command line: `heavy-ball`.
#[derive(Debug, Clone, Copy)]
pub struct RuleName {
    name: &'static str,
    kind: &'static Kind,
}

/// All of them, in the library's order.
static ALL: LazyLock<Vec<RuleName>> = LazyLock::new(|| {
    // Made once, and kept for as long as the program runs.
    let named = |kind: &'static Kind| RuleName { name: kind.name.replace('_', "-").leak(), kind };
    rules::kinds().map(named).collect()
});

impl RuleName {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|rule| rule.name == name)
    }

    /// The learning rate that a run gets where none is given.
    pub fn default_learning_rate(self) -> f64 {
        self.kind.learning_rate
    }

    /// The inner optimizer as the library has it.
    pub fn rule(self, learning_rate: f64) -> Box<dyn Rule> {
        let rule = self.kind.rule(learning_rate);
        let own = rule.hyperparameters();
        if own.iter().all(|(name, _)| *name != LEAST_FACTORED.0) {
            return rule;
        }
        let all = || own.iter().chain([&LEAST_FACTORED]).rev();
        let value = |asked: &str| all().find(|(name, _)| *name == asked).map(|(_, value)| *value);
        rule.with_hyperparameters(&value).unwrap_or(rule)
    }
}

impl PartialEq for RuleName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl ValueEnum for RuleName {
    fn value_variants<'a>() -> &'a [Self] {
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(self.name).help(self.kind.title);
        Some(if self.kind.name == "heavy_ball" { value.alias("momentum") } else { value })
    }
}

impl Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self, f)
    }
}

impl Serialize for RuleName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for RuleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|rule| rule.name).collect();
            de::Error::custom(format!("there is no rule `{name}`; there are: {}", names.join(", ")))
        })
    }
}
