//! The list of the rules, their settings by serde, and that a rule is named in its own files alone.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::arrows::rust_files;
use lookahead_wgpu::{
    Error, Rule,
    rules::{self, AdaFactor, Adam, AdamW, Ranger, Slot, Step},
};
use serde_json::{Map, Value, json};

#[test]
fn kinds_have_names_of_their_own_and_are_what_they_say() {
    let mut names = BTreeSet::new();
    for entry in rules::ALL {
        assert_eq!(entry.kinds[0].name, entry.name, "the plain rule comes first");
        for kind in entry.kinds {
            assert!(names.insert(kind.name), "{} is there twice", kind.name);
            let rule = kind.rule(0.25);
            assert!(rule.check().is_ok() && rule.learning_rate() == 0.25, "{rule:?}");
            assert!(kind.name.starts_with(rule.name()), "{} is called {}", kind.name, rule.name());
            assert!(kind.learning_rate > 0.0 && !kind.title.is_empty());
        }
    }
    assert!(rules::kind("heavy_ball").is_some() && rules::kind("adm").is_none());
}

#[test]
fn what_settings_leave_out_is_at_the_rules_default() {
    for entry in rules::ALL {
        let rule = rules::read(entry.name, json!({ "lr": 0.25 })).unwrap();
        assert_eq!(format!("{rule:?}"), format!("{:?}", entry.kinds[0].rule(0.25)));
        let problem = match rules::read(entry.name, json!({})) {
            Ok(rule) => {
                assert!(rule.learning_rate() > 0.0, "{rule:?}");
                continue;
            }
            Err(problem) => problem.to_string(),
        };
        assert!(problem.contains("missing field `lr`"), "{problem}");
    }
    assert_eq!(serde_json::from_str::<AdamW>("{}").unwrap(), AdamW::default());
    assert_eq!(serde_json::from_str::<Ranger>("{\"lr\": 0.1}").unwrap(), Ranger::new(0.1));
    let bare = json!({ "lr": 0.1, "clipping_threshold": null });
    assert_eq!(
        serde_json::from_value::<AdaFactor>(bare).unwrap(),
        AdaFactor::new(0.1).clipping_threshold(None)
    );
}

#[test]
fn every_rule_comes_back_from_its_settings() {
    for kind in rules::kinds() {
        let rule = kind.rule(0.1);
        let text = serde_json::to_string(&rule).unwrap();
        let back: Box<dyn Rule> = serde_json::from_str(&text).unwrap();
        assert_eq!(format!("{back:?}"), format!("{rule:?}"), "{text}");
    }
    let adam = Adam::new(0.1).betas(0.8, 0.9).eps(1e-5).weight_decay(0.25).amsgrad(true);
    assert_eq!(
        serde_json::to_value(&adam as &dyn Rule).unwrap(),
        json!({
            "name": "adam", "lr": 0.1, "betas": [0.8, 0.9], "eps": 1e-5, "weight_decay": 0.25, "amsgrad": true
        })
    );
}

#[test]
fn wrong_settings_are_told() {
    let told = |name: &str, settings: serde_json::Value, words: &[&str]| {
        let problem = rules::read(name, settings).unwrap_err().to_string();
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
    };
    told("adm", json!({ "lr": 0.1 }), &["no rule `adm`", "`adam`", "`adafactor`"]);
    for entry in rules::ALL {
        told(entry.name, json!({ "lr": 0.1, "lambda": 1 }), &["unknown field `lambda`", "`weight_decay`"]);
        told(entry.name, json!({ "lr": "fast" }), &["\"fast\"", "expected f64"]);
    }
    told("adam", json!({ "betas": [0.9] }), &["tuple of size 2"]);
}

/// The rules as TypeScript has them. `LOOKAHEAD_WRITE_TYPES=1 cargo test --test rules` writes the file.
#[test]
fn typescript_knows_every_rule() {
    let mut types = "/** The inner optimizer and its hyperparameters; what is left out is at PyTorch's or optax's default. */\n\
                     export type Rule ="
        .to_owned();
    for entry in rules::ALL.iter().chain(rules::ANCHORED) {
        let settings = rules::settings(&entry.kinds[0].rule(0.1)).unwrap().fields;
        let reads = |fields: &Map<String, Value>| rules::read(entry.name, fields.clone()).is_ok();
        let mut fields = String::new();
        // `lr` first, as people write it; serde_json has the others in the order of the alphabet.
        let (first, others): (Vec<_>, Vec<_>) = settings.iter().partition(|(name, _)| *name == "lr");
        for (name, value) in first.into_iter().chain(others) {
            let mut left_out = settings.clone();
            left_out.remove(name);
            let mut without = settings.clone();
            without.insert(name.clone(), Value::Null);
            let optional = if reads(&left_out) { "?" } else { "" };
            let of = match value {
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::Array(_) => "[number, number]",
                other => panic!("{name} of {} is {other}", entry.name),
            };
            let null = if reads(&without) { " | null" } else { "" };
            fields += &format!("; {}{optional}: {of}{null}", camel(name));
        }
        types += &format!("\n    | {{ name: \"{}\"{fields} }}", entry.name);
    }
    types += ";\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/src/rules.d.ts");
    if std::env::var_os("LOOKAHEAD_WRITE_TYPES").is_some() {
        fs::write(&file, &types).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap();
    assert_eq!(there, types, "LOOKAHEAD_WRITE_TYPES=1 writes it anew");
    let readme = include_str!("../../web/README.md");
    let missing: Vec<_> = rules::ALL
        .iter()
        .chain(rules::ANCHORED)
        .filter(|rule| !readme.contains(&format!("`{}`", rule.name)))
        .collect();
    assert!(missing.is_empty(), "web/README.md does not tell of {missing:?}");
}

/// A name of Rust's as JavaScript has it.
pub fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap().to_owned();
    words.fold(first, |camel, word| camel + &word[..1].to_uppercase() + &word[1..])
}

/// A rule of a user's.
#[derive(Debug)]
struct Own;

impl Rule for Own {
    fn name(&self) -> &str {
        "own"
    }
    fn wgsl(&self) -> &str {
        "fn update(w: vec4f, g: vec4f) -> vec4f { return w - control.lr * g; }"
    }
    fn slots(&self) -> Vec<Slot> {
        vec![]
    }
    fn learning_rate(&self) -> f64 {
        0.1
    }
    fn hyper(&self, _: u64, _: &mut Vec<f32>) {}
    fn update(&self, step: &Step, weight: f64, gradient: f64, _: &mut [f64]) -> f64 {
        weight - step.learning_rate * gradient
    }
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn a_rule_of_ones_own_is_not_serialised() {
    let problem = serde_json::to_string(&Own as &dyn Rule).unwrap_err().to_string();
    assert!(problem.contains("the rule `own` has no settings"), "{problem}");
}

/// Where rules could be named besides their own files.
const PLACES: [&str; 6] = ["src", "benches", "examples/train/src", "web/src", "web/page/src", "xtask/src"];

/// Rules that stand for all where one is needed, and an optimizer that is more than its rule.
const EXAMPLES: [(&str, &str); 9] = [
    ("benches/step/tables.rs", "Adam"),
    ("benches/step/tables.rs", "\"adam\""),
    ("benches/step/host.rs", "Adam"),
    ("benches/step/resnet50.rs", "Adam"),
    ("examples/train/src/arguments.rs", "Adam"),
    ("examples/train/src/arguments.rs", "\"adam\""),
    ("src/optimizer/autotune.rs", "Adam"),
    ("src/optimizer/on_wgpu.rs", "Ranger"),
    ("xtask/src/peers/group.rs", "Adam"),
];

/// To add a rule is to add its file, its WGSL and the line that lists it: no other file names one.
#[test]
fn rules_are_named_in_their_own_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(root.join("src/rules.rs")).unwrap();
    let types: Vec<&str> = list
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';')?.split_once(": "))
        .filter(|(file, _)| root.join(format!("src/rules/{file}.rs")).is_file())
        .flat_map(|(_, types)| types.split(", "))
        .collect();
    assert_eq!(types.len(), rules::ALL.len() + rules::ANCHORED.len(), "{types:?}");
    let quoted = rules::ALL.iter().chain(rules::ANCHORED).map(|entry| format!("\"{}\"", entry.name));
    let words: Vec<String> = quoted.chain(types.iter().map(ToString::to_string)).collect();
    let mut named = vec![];
    for place in PLACES {
        for file in rust_files(&root.join(place)) {
            let name = file.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            // Peers are timed with Adam, which all of them have.
            if name == "src/rules.rs" || name.starts_with("src/rules/") || name.starts_with("benches/peers/")
            {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let found = words.iter().filter(|word| code(&text).any(|line| has_word(line, word)));
            let found = found.filter(|word| !EXAMPLES.contains(&(name.as_str(), word)));
            named.extend(found.map(|word| format!("{name}: {word}")));
        }
    }
    assert!(named.is_empty(), "{named:#?}");
    for word in types {
        assert_eq!(code(&list).filter(|line| has_word(line, word)).count(), 1, "{word}");
    }
}

/// The lines of a file up to its unit tests, comments left out.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines.filter(|line| !line.trim_start().starts_with("//"))
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

/// `cargo fmt` does not see files that a macro's line declares: `rustfmt src/rules/*.rs` formats them.
#[test]
fn the_rules_files_are_formatted() {
    let files = rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules"));
    let rustfmt = Command::new("rustfmt").args(["--check", "--edition", "2024"]).args(files).output();
    // Where there is no rustfmt there is nothing to be asked.
    if let Ok(output) = rustfmt {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
