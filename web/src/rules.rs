//! Rules by name, with their hyperparameters.

use lookahead_wgpu::{Rule, rules};
use serde::de::{Deserializer, Visitor};
use wasm_bindgen::JsValue;

use crate::{
    given::{Given, Wrong, camel, list},
    own,
    problem::Problem,
};

/// The rule that an object as `{ name: "adam", lr: 0.001 }` describes. What it leaves out is at the rule's
/// default.
pub fn read(options: JsValue) -> Result<Box<dyn Rule>, Problem> {
    let options = Given(options);
    if let Some(rule) = own::rule(&options)? {
        return Ok(rule);
    }
    let Some(name) = options.field("name").and_then(|name| name.as_string()) else {
        return Err(Problem::argument("a rule needs a name, as in { name: \"adam\", lr: 0.001 }"));
    };
    // No number has always stood for the default here.
    let is_default = options.field("lr").is_some_and(|lr| lr.is_null());
    let others = ["name", "lr"];
    let settings = Settings { rule: &name, fields: options.without(&others[..1 + usize::from(is_default)]) };
    rules::read(&name, settings).map_err(|wrong| Problem::argument(wrong.to_string()))
}

/// The settings of a rule, whose mistakes are told in words of their own.
struct Settings<'a> {
    rule: &'a str,
    fields: JsValue,
}

/// Refuses names that are none of the rule's settings.
#[inline(never)]
fn check_names(rule: &str, given: &Given, known: &[&str]) -> Result<(), Wrong> {
    let is_known = |name: &str| known.iter().any(|known| camel(known) == name);
    match given.names().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(unknown) => {
            let known = list(known);
            Err(Wrong::new(format!("the rule `{rule}` has no `{unknown}`; it has: {known}")))
        }
    }
}

/// What is wrong with a setting of a rule.
#[cold]
#[inline(never)]
fn told(rule: &str, wrong: &Wrong) -> Wrong {
    Wrong::new(match (wrong.name(), wrong.expected(), wrong.missing()) {
        (Some(name), Some(expected), _) => format!("`{name}` of the rule `{rule}` must be {expected}"),
        (_, _, Some(name)) => {
            format!("`{}` of the rule `{rule}` must be a number, and is left out", camel(name))
        }
        _ => format!("the rule `{rule}`: {wrong}"),
    })
}

impl<'de> Deserializer<'de> for Settings<'_> {
    type Error = Wrong;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let rule = self.rule;
        let given = Given(self.fields);
        check_names(rule, &given, known)?;
        given.deserialize_struct(name, known, visitor).map_err(|wrong| told(rule, &wrong))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        Given(self.fields).deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
