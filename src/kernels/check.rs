//! Whether a rule, an outer step or a transformation keeps its contract, and plain words for what is wrong where it does not.

use super::{
    author::Author,
    text::{self, BUILTINS, Declaration, Token},
    transforms::{Link, PARAMETERS, parameters},
};
use crate::{
    config::{
        outer::Outer,
        transform::{Reduced, Transform},
    },
    error::Error,
    rules::{Factored, MAX_HYPER, MAX_SLOTS, Rule, SecondMoment, Slot, check_learning_rate},
};

/// The names of the driver's that rules and outer steps know; all others of its begin with `la_`.
pub const NAMES: [&str; 9] =
    ["Hyper", "control", "hyper", "measure", "outer", "outer_state", "state", "trust", "update"];

/// The names of [`NAMES`] that are a rule's or an outer step's to declare.
const DECLARED: [&str; 4] = ["Hyper", "measure", "outer", "update"];

/// Checks a rule's contract and, with the feature `validate`, its WGSL.
///
/// # Errors
///
/// [`Error::Hyperparameter`], [`Error::Rule`] or [`Error::Shader`].
pub fn check(rule: &dyn Rule) -> Result<(), Error> {
    let broken = |problem: String| Error::Rule { rule: rule.name().to_owned(), problem };
    if rule.name().is_empty() {
        return Err(broken("has no name".to_owned()));
    }
    rule.check()?;
    check_learning_rate(rule.learning_rate())?;
    rule.weight_decay().check()?;
    let slots = rule.slots();
    if let Some(slot) =
        slots.iter().find(|slot| rule.factored(1).is_some() && slot.name.starts_with("exp_avg_sq"))
    {
        return Err(broken(format!(
            "has a slot called `{}`, as the driver's own second moment is",
            slot.name
        )));
    }
    check_slots(&slots).map_err(broken)?;
    let mut hyper = Vec::new();
    rule.hyper(1, &mut hyper);
    if hyper.len() > MAX_HYPER {
        return Err(broken(format!("gives {} members of `Hyper`; {MAX_HYPER} is the most", hyper.len())));
    }
    check_hyper(rule, 1, hyper.len(), &hyper)?;
    if let Some(factored) = rule.factored(1) {
        factored.check()?;
        if rule.trust().is_some() {
            return Err(broken("has a second moment of the driver's and a trust ratio; take one".to_owned()));
        }
    }
    if let Some(trust) = rule.trust() {
        for (what, value) in [("coefficient", trust.coefficient), ("eps", trust.eps)] {
            let told = value as f32;
            if !(value >= 0.0 && told.is_finite() && (value == 0.0 || told.is_normal())) {
                return Err(broken(format!(
                    "has {value:?} for the {what} of its trust ratio, which must be finite and at least 0, for f32 too"
                )));
            }
        }
    }
    if let Some(moment) = rule.second_moment(1).filter(|moment| moment.slot >= slots.len()) {
        let (slot, slots) = (moment.slot, slots.len());
        return Err(broken(format!("has its second moment in the slot {slot}, of {slots} counted from 0")));
    }
    let text = Text::new(rule.name(), rule.wgsl())?;
    text.check_names()?;
    text.check_hyper(hyper.len())?;
    let weights = [("w", "vec4f"), ("g", "vec4f")];
    text.check_signature("update", &weights, "vec4f")?;
    if rule.trust().is_some() {
        text.check_signature("measure", &weights, "vec4f")?;
    }
    if rule.anchored() {
        check_anchored(rule, &text)?;
    }
    text.check_slots("state", slots.len())?;
    #[cfg(feature = "validate")]
    super::validate::check(rule)?;
    Ok(())
}

/// Checks what a rule holds besides whose steps read the slow weights.
fn check_anchored(rule: &dyn Rule, text: &Text<'_>) -> Result<(), Error> {
    if rule.trust().is_some() || rule.factored(1).is_some() {
        let problem =
            "reads the slow weights and has a trust ratio or a second moment of the driver's; take one";
        return Err(Error::Rule { rule: rule.name().to_owned(), problem: problem.to_owned() });
    }
    text.check_signature("snapshot", &[], "vec4f")?;
    let moved = [("w", "vec4f"), ("before", "vec4f"), ("after", "vec4f")];
    text.check_signature("shifted", &moved, "vec4f")
}

/// Checks an outer step's contract, as far as that goes without a compiler.
///
/// # Errors
///
/// [`Error::Hyperparameter`], [`Error::Rule`] or [`Error::Shader`].
pub fn check_outer(outer: &dyn Outer) -> Result<(), Error> {
    outer.check()?;
    check_coefficients(outer)?;
    let slots = outer.slots();
    check_slots(&slots).map_err(|problem| Error::Rule { rule: outer.name().to_owned(), problem })?;
    let text = Text::new(outer.name(), outer.wgsl())?;
    text.check_names()?;
    let parameters = [("phi", "vec4f"), ("theta", "vec4f"), ("one_minus_alpha", "f32")];
    text.check_signature("outer", &parameters, "vec4f")?;
    text.check_slots("outer_state", slots.len())
}

/// Checks a gradient transformation's contract and, with the feature `validate`, its WGSL.
///
/// # Errors
///
/// [`Error::Hyperparameter`] or [`Error::Transform`].
pub fn check_transform(transform: &dyn Transform) -> Result<(), Error> {
    transform.check()?;
    let name = transform.name();
    let broken = |problem: String| Err(Error::Transform { name: name.to_owned(), problem });
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_word || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return broken("must be a name that a function of WGSL can have".to_owned());
    }
    check_transform_coefficients(transform)?;
    if let Some(bound) = transform.reduces().and_then(Reduced::bound)
        && !(bound > 0.0 && (bound as f32).is_normal())
    {
        return broken(format!(
            "gives {bound:?} for the bound of a norm, which must be positive and finite, for f32 too"
        ));
    }
    // Those of this crate keep it, under names of the driver's.
    if transform.settings().is_some() {
        return Ok(());
    }
    let text = Text::of(Author::Transform, name, transform.wgsl())?;
    text.check_names()?;
    text.check_parameters(name)?;
    let takes = parameters(transform.wgsl(), name).contains(&"reduced");
    if takes != transform.reduces().is_some() {
        let (has, gives) = if takes { ("has", "nothing") } else { ("lacks", "something") };
        return broken(format!("{has} the parameter `reduced`, and `Transform::reduces` asks for {gives}"));
    }
    #[cfg(feature = "validate")]
    super::validate::check_transform(transform)?;
    Ok(())
}

/// Refuses coefficients of a transformation that are not finite.
pub(crate) fn check_transform_coefficients(transform: &dyn Transform) -> Result<(), Error> {
    Author::Transform.check_finite(transform.name(), transform.coefficients())
}

/// Refuses transformations of one gradient that do not go together.
pub(crate) fn check_links(links: &[Link<'_>]) -> Result<(), Error> {
    let mut needs: [Option<&str>; 2] = [None; 2];
    for (index, Link { transform, .. }) in links.iter().enumerate() {
        let name = transform.name();
        let broken = |problem: String| Err(Error::Transform { name: name.to_owned(), problem });
        if links[..index].iter().any(|other| other.transform.name() == name) {
            return broken("is there twice: each can be once, and has a name of its own".to_owned());
        }
        let Some(reduced) = transform.reduces() else { continue };
        let (which, what) = match reduced {
            Reduced::RowMeans => (0, "the means of rows"),
            Reduced::GlobalNorm(_) | Reduced::TensorNorm(_) => (1, "a norm"),
        };
        if let Some(other) = needs[which].replace(name) {
            return broken(format!("needs {what}, as `{other}` does; one of an optimizer's can"));
        }
    }
    Ok(())
}

/// Refuses texts that declare the same name, where they would be in one kernel: a rule's, an outer step's, and those of
/// transformations.
pub(crate) fn check_collisions(rule: &dyn Rule, outer: &dyn Outer, links: &[Link<'_>]) -> Result<(), Error> {
    let first = [("rule", rule.name(), rule.wgsl()), ("outer step", outer.name(), outer.wgsl())];
    let others = links.iter().map(|link| ("transformation", link.transform.name(), link.transform.wgsl()));
    let mut seen: Vec<(&str, &str, &str)> = Vec::new();
    for (kind, owner, wgsl) in first.into_iter().chain(others) {
        let tokens = text::tokens(wgsl).unwrap_or_default();
        let found: Vec<_> = text::declarations(&tokens).iter().map(|found| found.name).collect();
        if let Some((name, kind_of, other)) = seen.iter().find(|(name, ..)| found.contains(name)) {
            let problem = format!("declares `{name}`, as the {kind_of} `{other}` does; rename one of them");
            let author = if kind == "transformation" { Author::Transform } else { Author::Rule };
            return Err(author.broken(owner, problem));
        }
        seen.extend(found.into_iter().map(|name| (name, kind, owner)));
    }
    Ok(())
}

/// Refuses coefficients of an outer step that are not finite.
pub(crate) fn check_coefficients(outer: &dyn Outer) -> Result<(), Error> {
    Author::Rule.check_finite(outer.name(), outer.coefficients())
}

/// Refuses what [`Rule::hyper`] gave for the step with this count, if it is not `due` finite members, and what the rule
/// tells of its second moment then.
pub(crate) fn check_hyper(rule: &dyn Rule, count: u64, due: usize, hyper: &[f32]) -> Result<(), Error> {
    let broken = |problem: String| Err(Error::Rule { rule: rule.name().to_owned(), problem });
    if hyper.len() != due {
        let found = hyper.len();
        return broken(format!("gives {found} members of `Hyper` at count {count}, and it has {due}"));
    }
    match hyper.iter().zip(1..).find(|(value, _)| !value.is_finite()) {
        Some((value, number)) => {
            broken(format!("gives {value} as member {number} of `Hyper` at count {count}; it must be finite"))
        }
        None => check_moment(rule, count, hyper),
    }
}

/// Refuses a second moment at the step with this count that the driver cannot keep, or cannot take for a curvature.
fn check_moment(rule: &dyn Rule, count: u64, hyper: &[f32]) -> Result<(), Error> {
    let broken = |problem: String| Err(Error::Rule { rule: rule.name().to_owned(), problem });
    if let Some(Factored { decay, .. }) = rule.factored(count) {
        if !(0.0..=1.0).contains(&decay) {
            return broken(format!(
                "has {decay} for the decay of its second moment at count {count}, which must be in [0, 1]"
            ));
        }
        let due = [decay as f32, (1.0 - decay) as f32];
        if hyper.get(..2) != Some(due.as_slice()) {
            return broken(format!(
                "has a second moment of the driver's: the first members of `Hyper` must be {due:?}, not {hyper:?}"
            ));
        }
    }
    if let Some(SecondMoment { bias_correction, eps, .. }) = rule.second_moment(count) {
        let correction = bias_correction.recip() as f32;
        if !(correction > 0.0 && correction.is_finite()) {
            return broken(format!(
                "has {bias_correction} for the bias correction of its second moment at count {count}, which must be \
                 finite and positive"
            ));
        }
        if !(eps >= 0.0 && (eps as f32).is_finite()) {
            return broken(format!(
                "has {eps} for the eps of its second moment at count {count}, which must be finite and at least 0"
            ));
        }
    }
    Ok(())
}

fn check_slots(slots: &[Slot]) -> Result<(), String> {
    if slots.len() > MAX_SLOTS {
        return Err(format!("has {} state slots, and {MAX_SLOTS} is the most", slots.len()));
    }
    for (index, slot) in slots.iter().enumerate() {
        if slots[..index].iter().any(|other| other.name == slot.name) {
            return Err(format!("has two state slots called `{}`", slot.name));
        }
        if !slot.initial.is_finite() {
            return Err(format!("starts the slot `{}` at {}", slot.name, slot.initial));
        }
    }
    Ok(())
}

/// The WGSL of a rule, an outer step or a transformation.
struct Text<'a> {
    author: Author,
    name: &'a str,
    tokens: Vec<Token<'a>>,
    declarations: Vec<Declaration<'a>>,
}

impl<'a> Text<'a> {
    fn new(name: &'a str, wgsl: &'a str) -> Result<Self, Error> {
        Self::of(Author::Rule, name, wgsl)
    }

    fn of(author: Author, name: &'a str, wgsl: &'a str) -> Result<Self, Error> {
        let tokens = text::tokens(wgsl)
            .map_err(|line| author.wrong(name, line, "the comment is never closed".to_owned()))?;
        let declarations = text::declarations(&tokens);
        Ok(Self { author, name, tokens, declarations })
    }

    fn broken(&self, problem: String) -> Result<(), Error> {
        Err(self.author.broken(self.name, problem))
    }

    fn wrong(&self, line: u32, message: String) -> Result<(), Error> {
        Err(self.author.wrong(self.name, line, message))
    }

    fn find(&self, kind: &str, name: &str) -> Option<&Declaration<'a>> {
        self.declarations.iter().find(|found| found.kind == kind && found.name == name)
    }

    /// Refuses names that are the driver's or WGSL's own.
    fn check_names(&self) -> Result<(), Error> {
        for &Declaration { name, line, .. } in &self.declarations {
            if name.to_ascii_lowercase().starts_with("la_") {
                let told = format!("`{name}` is a name of the driver's, as all that begin with `la_` are");
                return self.wrong(line, told);
            }
            if NAMES.contains(&name) && !DECLARED.contains(&name) {
                return self.wrong(line, format!("`{name}` is a name of the driver's"));
            }
            if BUILTINS.contains(&name) || text::TYPES.contains(&name) {
                return self.wrong(
                    line,
                    format!("`{name}` is WGSL's own, which the driver uses; take another name"),
                );
            }
        }
        Ok(())
    }

    /// `Hyper` must be what [`Rule::hyper`] pushes, or every member after the first is read from a wrong place.
    fn check_hyper(&self, pushed: usize) -> Result<(), Error> {
        let Some(hyper) = self.find("struct", "Hyper") else {
            return match pushed {
                0 => Ok(()),
                _ => self
                    .broken(format!("has no `struct Hyper` in its WGSL, and `Rule::hyper` gives {pushed}")),
            };
        };
        let members = hyper.members();
        for member in &members {
            let (name, ty) = (member.name, text::resolved(&member.ty, &self.declarations));
            if ty != "f32" {
                return self.broken(format!(
                    "has the member `{name}` in `Hyper`, which is no `f32`: the type is {ty}, expected f32"
                ));
            }
            if member.has_attributes {
                return self.broken(format!(
                    "has attributes at the member `{name}` of `Hyper`; leave `@size` and `@align` out, so that \
                     members lie side by side"
                ));
            }
        }
        if members.len() != pushed {
            let found = members.len();
            return self.broken(format!("has {found} members in `Hyper`, and `Rule::hyper` gives {pushed}"));
        }
        Ok(())
    }

    /// Refuses a function that the driver cannot call.
    fn check_signature(&self, name: &str, due: &[(&str, &str)], returns: &str) -> Result<(), Error> {
        let written = |parameters: &[(&str, &str)], returned: &str| {
            let parameters: Vec<_> = parameters.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
            let arrow = if returned.is_empty() { String::new() } else { format!(" -> {returned}") };
            format!("`fn {name}({}){arrow}`", parameters.join(", "))
        };
        let expected = written(due, returns);
        let Some(function) = self.find("fn", name) else {
            return self.broken(format!("has no {expected} in its WGSL"));
        };
        let members = function.members();
        let resolved = |ty: &str| text::resolved(ty, &self.declarations);
        let types = members.iter().map(|member| resolved(&member.ty));
        let fits =
            types.eq(due.iter().map(|(_, ty)| (*ty).to_owned())) && resolved(&function.returned()) == returns;
        if fits {
            return Ok(());
        }
        let found: Vec<_> = members.iter().map(|member| (member.name, member.ty.as_str())).collect();
        let found = written(&found, &function.returned());
        self.wrong(function.line, format!("it has {found}, and {expected} is expected"))
    }

    /// Refuses a transformation's function that the driver cannot call.
    fn check_parameters(&self, name: &str) -> Result<(), Error> {
        let known = || PARAMETERS.map(|(name, ty)| format!("`{name}: {ty}`")).join(", ");
        let Some(function) = self.find("fn", name) else {
            return self.broken(format!("has no `fn {name}(g: vec4f, ...) -> vec4f` in its WGSL"));
        };
        let resolved = |ty: &str| text::resolved(ty, &self.declarations);
        let members = function.members();
        let (first, others) =
            members.split_first().map_or((None, &[][..]), |(first, rest)| (Some(first), rest));
        let first = first.map_or(String::new(), |first| resolved(&first.ty));
        if first != "vec4f" || resolved(&function.returned()) != "vec4f" {
            let told = format!("`fn {name}` must take the gradient, `g: vec4f`, first, and return a vec4f");
            return self.wrong(function.line, told);
        }
        for (index, member) in others.iter().enumerate() {
            let (own, ty) = (member.name, resolved(&member.ty));
            if !PARAMETERS.contains(&(own, ty.as_str())) {
                let told =
                    format!("`fn {name}` has the parameter `{own}: {ty}`; after `g` there are {}", known());
                return self.wrong(function.line, told);
            }
            if others[..index].iter().any(|other| other.name == own) {
                return self.wrong(function.line, format!("`fn {name}` has the parameter `{own}` twice"));
            }
        }
        Ok(())
    }

    /// Refuses `state[2]` where there are two slots.
    fn check_slots(&self, array: &str, slots: usize) -> Result<(), Error> {
        for (index, window) in self.tokens.windows(4).enumerate() {
            let [name, open, number, close] = window else { continue };
            let is_member = index > 0 && self.tokens[index - 1].text == ".";
            let is_access = name.text == array && open.text == "[" && close.text == "]" && !is_member;
            let Ok(slot) = number.text.trim_end_matches(['u', 'i']).parse::<usize>() else { continue };
            if is_access && slot >= slots {
                let has = match slots {
                    0 => "no slots".to_owned(),
                    1 => "1 slot".to_owned(),
                    slots => format!("{slots} slots"),
                };
                let what = if array == "state" { "rule" } else { "outer step" };
                let told = format!("this {what} has {has}, `{array}[{slot}]` is not one");
                return self.wrong(name.line, told);
            }
        }
        Ok(())
    }
}
