//! The preprocessor that whole shaders are composed with. Directives stand on lines of their own:
//!
//! ```text
//! #import name                the text of that name, the first time that it is asked for
//! #if flag    or  #if !flag   what follows, where the value is not 0, or is
//! #else
//! #for slot in slots          what follows so many times; ${slot} counts from 0
//! #end                        of an `#if` or a `#for`
//! ```
//!
//! and `${value}` anywhere stands for a number. All else is WGSL, and goes through as it is. Texts that are not the
//! library's own (a rule's) are taken [verbatim](Text::Verbatim): nothing in them is a directive, and their lines stay
//! where they are.

use std::collections::{BTreeMap, BTreeSet};

/// What flags and numbers stand for: every name that a text asks for must be there; a flag is 0 or 1.
pub(crate) type Values = BTreeMap<&'static str, u32>;

/// A text that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    /// With directives.
    Template(&'a str),
    /// Without.
    Verbatim(&'a str),
}

/// What is wrong with a text's directives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub(crate) struct Mistake {
    file: String,
    line: usize,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum What {
    #[error("there is no text `{0}` to import")]
    Import(String),
    #[error("`{0}` imports itself in the end")]
    Circle(String),
    #[error("there is no value `{0}`")]
    Value(String),
    #[error("`{0}` is no directive; there are #import, #if, #else, #for and #end")]
    Directive(String),
    #[error("there is nothing open for `{0}`")]
    Stray(String),
    #[error("`{0}` has no #end")]
    Open(String),
}

/// The text called `name` with all that it imports.
///
/// # Errors
///
/// [`Mistake`], of the text in which it is. A part that is left out is looked through for its directives alone.
pub(crate) fn expand<'a>(
    name: &str,
    find: &dyn Fn(&str) -> Option<Text<'a>>,
    values: &Values,
) -> Result<String, Mistake> {
    let mut expansion = Expansion {
        find,
        values,
        counters: vec![],
        seen: BTreeSet::new(),
        open: vec![],
        text: String::new(),
    };
    let none = Place { file: name, line: 0 };
    expansion.import(name, none)?;
    expansion.text.truncate(expansion.text.trim_end().len());
    expansion.text.push('\n');
    Ok(expansion.text)
}

/// A line of a text.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    file: &'a str,
    line: usize,
}

impl Place<'_> {
    fn wrong<T>(self, what: What) -> Result<T, Mistake> {
        Err(Mistake { file: self.file.to_owned(), line: self.line, what })
    }
}

/// The lines that are left of a text, with their numbers.
type Lines<'a> = std::iter::Enumerate<std::str::Lines<'a>>;

/// What a block ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Else,
    End,
    Text,
}

struct Expansion<'a, 'b> {
    find: &'b dyn Fn(&str) -> Option<Text<'a>>,
    values: &'b Values,
    /// Those of the `#for`s around, with what they count.
    counters: Vec<(String, u32)>,
    /// What has been imported.
    seen: BTreeSet<String>,
    /// What is being imported.
    open: Vec<String>,
    text: String,
}

impl Expansion<'_, '_> {
    fn import(&mut self, name: &str, from: Place<'_>) -> Result<(), Mistake> {
        if self.open.iter().any(|open| open == name) {
            return from.wrong(What::Circle(name.to_owned()));
        }
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        self.part();
        match (self.find)(name) {
            None => from.wrong(What::Import(name.to_owned())),
            Some(Text::Verbatim(text)) => {
                self.text += text;
                if !text.ends_with('\n') {
                    self.text.push('\n');
                }
                self.part();
                Ok(())
            }
            Some(Text::Template(text)) => {
                self.open.push(name.to_owned());
                self.block(name, &mut text.lines().enumerate(), true, None)?;
                self.open.pop();
                self.part();
                Ok(())
            }
        }
    }

    /// An empty line between two texts.
    fn part(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Takes lines up to the end of what was opened at `opened`; `taken`: they are part of the kernel.
    fn block(
        &mut self,
        file: &str,
        lines: &mut Lines<'_>,
        taken: bool,
        opened: Option<(Place<'_>, &str)>,
    ) -> Result<Ended, Mistake> {
        while let Some((index, line)) = lines.next() {
            let place = Place { file, line: index + 1 };
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["#else"] if opened.is_some() => return Ok(Ended::Else),
                ["#end"] if opened.is_some() => return Ok(Ended::End),
                ["#else" | "#end"] => return place.wrong(What::Stray(line.trim().to_owned())),
                ["#import", name] if taken => self.import(name, place)?,
                ["#import", _] => {}
                ["#if", flag] => self.branch(lines, taken, (place, line.trim()), flag)?,
                ["#for", name, "in", count] => {
                    self.repeat(lines, taken, (place, line.trim()), (name, count))?
                }
                [first, ..] if first.starts_with('#') => {
                    return place.wrong(What::Directive(line.trim().to_owned()));
                }
                _ if taken => self.push(line, place)?,
                _ => {}
            }
        }
        match opened {
            Some((place, directive)) => place.wrong(What::Open(directive.to_owned())),
            None => Ok(Ended::Text),
        }
    }

    fn branch(
        &mut self,
        lines: &mut Lines<'_>,
        taken: bool,
        opened: (Place<'_>, &str),
        flag: &str,
    ) -> Result<(), Mistake> {
        let place = opened.0;
        let holds = match flag.strip_prefix('!') {
            Some(flag) => self.value(flag, place)? == 0,
            None => self.value(flag, place)? != 0,
        };
        if self.block(place.file, lines, taken && holds, Some(opened))? == Ended::Else
            && self.block(place.file, lines, taken && !holds, Some(opened))? == Ended::Else
        {
            return place.wrong(What::Stray("a second #else".to_owned()));
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        lines: &mut Lines<'_>,
        taken: bool,
        opened: (Place<'_>, &str),
        (name, count): (&str, &str),
    ) -> Result<(), Mistake> {
        let place = opened.0;
        let count = self.value(count, place)?;
        let start = lines.clone();
        // Once at least, to find the end.
        for number in 0..count.max(1) {
            *lines = start.clone();
            self.counters.push((name.to_owned(), number));
            let ended = self.block(place.file, lines, taken && count > 0, Some(opened))?;
            self.counters.pop();
            if ended == Ended::Else {
                return place.wrong(What::Stray("#else".to_owned()));
            }
        }
        Ok(())
    }

    fn value(&self, name: &str, place: Place<'_>) -> Result<u32, Mistake> {
        let counter =
            self.counters.iter().rev().find(|(counter, _)| counter == name).map(|(_, number)| *number);
        match counter.or_else(|| self.values.get(name).copied()) {
            Some(value) => Ok(value),
            None => place.wrong(What::Value(name.to_owned())),
        }
    }

    /// Adds a line with its `${...}` filled in; of several empty lines one.
    fn push(&mut self, line: &str, place: Place<'_>) -> Result<(), Mistake> {
        if line.trim().is_empty() && (self.text.is_empty() || self.text.ends_with("\n\n")) {
            return Ok(());
        }
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return place.wrong(What::Open("${".to_owned()));
            };
            let value = self.value(name, place)?;
            self.text += &format!("{before}{value}");
            rest = after;
        }
        self.text += rest;
        self.text.push('\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> Option<Text<'static>> {
        Some(match name {
            "main" => Text::Template(
                "#import rule\n#import two\n\n\nfn main() {\n#if big\n    big();\n#else\n    small();\n#end\n}\n#import two\n",
            ),
            "two" => Text::Template("const TWO = ${two}u;"),
            "rule" => Text::Verbatim("#if this is no directive ${here}\n\n\nfn rule() {}"),
            "each" => Text::Template(
                "#for slot in slots\n    load(${slot}u, ${slots}u);\n#for two in two\n    ${slot} ${two}\n#end\n#end",
            ),
            "not" => Text::Template("#if !big\n#if two\nsmall\n#end\n#end"),
            "circle" => Text::Template("#import around"),
            "around" => Text::Template("fn a() {}\n#import circle"),
            _ => return None,
        })
    }

    fn values(big: u32) -> Values {
        Values::from([("big", big), ("two", 2), ("slots", 2), ("none", 0)])
    }

    #[test]
    fn texts_are_imported_once_and_in_their_order() {
        let rule = "#if this is no directive ${here}\n\n\nfn rule() {}\n";
        let expected = |call: &str| format!("{rule}\nconst TWO = 2u;\n\nfn main() {{\n    {call}();\n}}\n");
        assert_eq!(expand("main", &find, &values(1)).unwrap(), expected("big"));
        assert_eq!(expand("main", &find, &values(0)).unwrap(), expected("small"));
    }

    #[test]
    fn parts_are_repeated_and_left_out() {
        let each = "    load(0u, 2u);\n    0 0\n    0 1\n    load(1u, 2u);\n    1 0\n    1 1\n";
        assert_eq!(expand("each", &find, &values(0)).unwrap(), each);
        assert_eq!(expand("not", &find, &values(0)).unwrap(), "small\n");
        assert_eq!(expand("not", &find, &values(1)).unwrap(), "\n");
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, told) in [
            ("\n#import nothing", "text:2: there is no text `nothing` to import"),
            ("#import circle", "around:2: `circle` imports itself in the end"),
            ("#if unknown\n#end", "text:1: there is no value `unknown`"),
            ("#if none\n#if unknown\n#end\n#end", "text:2: there is no value `unknown`"),
            ("#for slot in unknown\n#end", "text:1: there is no value `unknown`"),
            ("x ${unknown}", "text:1: there is no value `unknown`"),
            ("x ${two", "text:1: `${` has no #end"),
            ("#for slot in slots\n#end\n${slot}", "text:3: there is no value `slot`"),
            (
                "a\n#include x",
                "text:2: `#include x` is no directive; there are #import, #if, #else, #for and #end",
            ),
            (
                "#if two and big",
                "text:1: `#if two and big` is no directive; there are #import, #if, #else, #for and #end",
            ),
            ("#end", "text:1: there is nothing open for `#end`"),
            ("#else", "text:1: there is nothing open for `#else`"),
            ("#if two\n#else\n#else\n#end", "text:1: there is nothing open for `a second #else`"),
            ("#for slot in slots\n#else\n#end", "text:1: there is nothing open for `#else`"),
            ("x\n#if two\n#import two", "text:2: `#if two` has no #end"),
            ("#for slot in none\n", "text:1: `#for slot in none` has no #end"),
        ] {
            let find = |name: &str| if name == "text" { Some(Text::Template(text)) } else { find(name) };
            assert_eq!(expand("text", &find, &values(1)).unwrap_err().to_string(), told, "{text}");
        }
    }
}
