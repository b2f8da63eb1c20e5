//! The gradient's way through its transformations, as one function of WGSL that steps and reductions share.

use std::fmt::Write;

use super::{
    spec::{Measure, Recipe},
    text,
};
use crate::config::{
    clip::Clip,
    transform::{Centralise, Reduced, Transform, Unscale},
};

/// The parameters that a transformation may declare after `g`, and their types.
pub(crate) const PARAMETERS: [(&str, &str); 5] =
    [("coefficients", "vec4f"), ("reduced", "vec4f"), ("tensor", "u32"), ("value", "u32"), ("step", "u32")];

/// A transformation in its place.
pub(crate) struct Link<'a> {
    pub transform: &'a dyn Transform,
    /// What it is given for `coefficients`.
    coefficients: String,
}

impl Link<'_> {
    /// The function's name: those of this crate have the driver's prefix, so that they collide with nobody's.
    fn function(&self) -> String {
        let (name, own) = (self.transform.name(), format!("la_{}", self.transform.name()));
        if declares(self.transform.wgsl(), &own) { own } else { name.to_owned() }
    }

    /// What it declares after `g`.
    fn parameters(&self) -> Vec<&str> {
        parameters(self.transform.wgsl(), &self.function())
    }

    fn call(&self, gradient: &str) -> String {
        let arguments =
            self.parameters().into_iter().map(|parameter| match (parameter, self.transform.reduces()) {
                ("coefficients", _) => self.coefficients.as_str(),
                ("reduced", Some(Reduced::RowMeans)) => "la_row_means(i)",
                ("reduced", Some(Reduced::GlobalNorm(_))) => "vec4f(la_factors[la_window.clip])",
                ("reduced", Some(Reduced::TensorNorm(_))) => {
                    "vec4f(la_factors[la_window.clip + la_tensor()])"
                }
                ("reduced", None) => "vec4f()",
                ("tensor", _) => "la_tensor()",
                ("value", _) => "la_value_of(i)",
                _ => "control.step",
            });
        let arguments: String = arguments.map(|argument| format!(", {argument}")).collect();
        format!("{}({gradient}(i, place){arguments})", self.function())
    }
}

/// A call of a transformation where nothing else is.
#[cfg(feature = "validate")]
pub(super) fn call(transform: &dyn Transform) -> String {
    let (name, due) = (transform.name(), PARAMETERS.map(|(name, ty)| format!(", {name}: {ty}")).concat());
    let given: String = parameters(transform.wgsl(), name).iter().map(|name| format!(", {name}")).collect();
    format!(
        "fn la_times(factor: f32, v: vec4f) -> vec4f {{\n    return factor * v;\n}}\n\n\
         fn la_called(g: vec4f{due}) -> vec4f {{\n    return {name}(g{given});\n}}\n"
    )
}

fn declares(wgsl: &str, function: &str) -> bool {
    let tokens = text::tokens(wgsl).unwrap_or_default();
    text::declarations(&tokens).iter().any(|found| found.kind == "fn" && found.name == function)
}

/// The names of a function's parameters but for the first.
pub(super) fn parameters<'a>(wgsl: &'a str, function: &str) -> Vec<&'a str> {
    let tokens = text::tokens(wgsl).unwrap_or_default();
    let declarations = text::declarations(&tokens);
    let found = declarations.iter().find(|found| found.kind == "fn" && found.name == function);
    found.map_or(vec![], |found| found.members().into_iter().skip(1).map(|member| member.name).collect())
}

impl<'a> Recipe<'a> {
    /// The transformations of the group's gradient, in their order.
    pub(crate) fn transforms(&self) -> Vec<Link<'a>> {
        let link = |transform, coefficients: String| Link { transform, coefficients };
        let word = |word: &str| format!("vec4f(control.{word})");
        let mut links = Vec::new();
        if self.options.centralise || self.rule.centralises() {
            links.push(link(&Centralise, String::new()));
        }
        links.push(link(&Unscale, word("gradient_scale")));
        if self.options.clip != Clip::None {
            links.push(link(&self.options.clip, word("clip")));
        }
        for (index, transform) in self.options.transforms.iter().enumerate() {
            links.push(link(transform.as_ref(), format!("control.transforms[{index}]")));
        }
        links
    }

    /// How many of them a reduction of the gradient comes after: those before the one that needs it. A norm that none
    /// needs is that of the gradient unscaled.
    pub(crate) fn transforms_before(&self, measure: Measure) -> usize {
        let links = self.transforms();
        let is_rows = measure == Measure::Rows;
        let needs = |link: &Link<'_>| match link.transform.reduces() {
            Some(reduced) => (reduced == Reduced::RowMeans) == is_rows,
            None => false,
        };
        let unscaled = links.iter().position(|link| link.transform.name() == Unscale.name());
        links.iter().position(needs).or(unscaled.map(|index| index + 1)).unwrap_or(0)
    }

    /// A transformation needs the means of rows.
    pub(crate) fn centralises(&self) -> bool {
        self.transforms().iter().any(|link| link.transform.reduces() == Some(Reduced::RowMeans))
    }

    /// One asks for a value's tensor, or its number there.
    pub(crate) fn asks_for_places(&self) -> bool {
        let asks = |link: &Link<'_>| link.parameters().iter().any(|name| matches!(*name, "tensor" | "value"));
        self.transforms().iter().any(asks)
    }

    /// The functions, and what steps and reductions call.
    pub(super) fn transforms_wgsl(&self, measure: Option<Measure>) -> String {
        let links = self.transforms();
        let mut text = String::new();
        let mut gradients = vec!["la_raw_gradient".to_owned()];
        for link in &links {
            let (before, after) =
                (&gradients[gradients.len() - 1], format!("la_after_{}", link.transform.name()));
            let call = link.call(before);
            let _ = writeln!(text, "{}\n", link.transform.wgsl().trim_end());
            let _ =
                writeln!(text, "fn {after}(i: u32, place: La_Place) -> vec4f {{\n    return {call};\n}}\n");
            gradients.push(after);
        }
        let mut named = |about: &str, name: &str, body: String| {
            let _ =
                writeln!(text, "// {about}\nfn {name}(i: u32, place: La_Place) -> vec4f {{\n{body}\n}}\n");
        };
        let gradient = |count: usize| format!("{}(i, place)", gradients[count]);
        let last = format!("    return {};", gradient(links.len()));
        named("What the rule is given, but for its weight decay.", "la_gradient", last);
        if let Some(measure @ (Measure::Rows | Measure::Norm)) = measure {
            let before = gradient(self.transforms_before(measure));
            let (about, body) = if measure == Measure::Norm && self.options.measures_what_is_told() {
                let body = format!(
                    "    let raw = la_raw_gradient(i, place);\n    return select({before}, raw, la_is_not_finite(raw));"
                );
                ("What is measured; a guard is to see what is not finite, whatever becomes of it.", body)
            } else {
                ("What is measured.", format!("    return {before};"))
            };
            named(about, "la_gradient_to_reduce", body);
        }
        text
    }
}
