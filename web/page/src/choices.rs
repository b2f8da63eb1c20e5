//! What a visitor can choose: the names that the command line knows, with its help.

use clap::ValueEnum;
use lookahead_wgpu::rules;
use serde::Serialize;
use train::rule::RuleName;
use train::settings::PolicyName;

/// Every choice of the form.
#[derive(Serialize)]
pub struct Choices {
    rules: Vec<Rule>,
    policies: Vec<Choice>,
}

#[derive(Serialize)]
struct Choice {
    name: String,
    help: String,
}

#[derive(Serialize)]
struct Rule {
    #[serde(flatten)]
    choice: Choice,
    learning_rate: f64,
    /// As the JavaScript package takes it, but for its names of fields, which are camel case.
    settings: Option<rules::Settings>,
}

impl Choices {
    /// All of them.
    pub fn all() -> Self {
        let rules = RuleName::value_variants().iter().map(|rule| {
            let learning_rate = rule.default_learning_rate();
            let settings = rules::settings(rule.rule(learning_rate).as_ref());
            Rule { choice: Choice::new(rule), learning_rate, settings }
        });
        Self {
            rules: rules.collect(),
            policies: PolicyName::value_variants().iter().map(Choice::new).collect(),
        }
    }
}

impl Choice {
    fn new(value: &impl ValueEnum) -> Self {
        let value = value.to_possible_value();
        let name = value.as_ref().map(|value| value.get_name().to_owned());
        let help = value.as_ref().and_then(|value| value.get_help()).map(ToString::to_string);
        Self { name: name.unwrap_or_default(), help: help.unwrap_or_default() }
    }
}
