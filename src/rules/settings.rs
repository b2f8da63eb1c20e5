//! A rule's settings as serde has them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A rule's name and the fields of its type: `{ "name": "adam", "lr": 0.01, ... }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The rule's name in [`ALL`](crate::rules::ALL).
    pub name: String,
    /// The fields, by name.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl Settings {
    /// Of a rule, whose type is its settings.
    pub(super) fn of(name: &str, rule: &impl Serialize) -> Option<Self> {
        match serde_json::to_value(rule) {
            Ok(Value::Object(fields)) => Some(Self { name: name.to_owned(), fields }),
            _ => None,
        }
    }
}
