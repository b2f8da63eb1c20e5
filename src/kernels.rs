//! The compute kernels: their WGSL, composed from the files in `shaders/`.
//!
//! A step kernel is one rule's `update` between an access (where weights and gradients lie), what is done to
//! the gradient before it, and what becomes of the weights after it, each a small file. Composition is joining
//! texts: the rule's comes first, so that line numbers in a compiler's message are the rule's own.

mod check;
mod text;
#[cfg(feature = "validate")]
mod validate;

use std::fmt::Write;

use crate::{
    config::{
        alpha::{Curvature, Scope},
        clip::Clip,
        lookahead::{Lookahead, StatePolicy},
        options::Options,
        precision::Half,
    },
    layout::{params, planes::Planes},
    rules::Rule,
};

pub use check::{NAMES, check, check_outer};
pub(crate) use check::{check_coefficients, check_hyper};
pub use text::BUILTINS;

/// Where weights and gradients lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// In the flat buffers of the layout.
    Owned,
    /// In buffers of the caller's.
    Borrowed,
    /// In one buffer of the caller's, near enough for one binding.
    Pooled,
    /// In one buffer of the caller's, too far apart for one binding.
    Far,
}

impl Access {
    /// Every access.
    pub const ALL: [Self; 4] = [Self::Owned, Self::Borrowed, Self::Pooled, Self::Far];

    fn wgsl(self, gradients: Option<Half>) -> Vec<&'static str> {
        let window = include_str!("../shaders/access/window.wgsl");
        let access = match self {
            Self::Owned => include_str!("../shaders/access/owned.wgsl"),
            Self::Borrowed => include_str!("../shaders/access/borrowed.wgsl"),
            Self::Pooled => include_str!("../shaders/access/pooled.wgsl"),
            Self::Far => include_str!("../shaders/access/far.wgsl"),
        };
        let gradients = match (self, gradients) {
            (Self::Owned, None) => include_str!("../shaders/gradients/owned.wgsl"),
            (Self::Owned, Some(Half::F16)) => include_str!("../shaders/gradients/owned_f16.wgsl"),
            (Self::Owned, Some(Half::Bf16)) => include_str!("../shaders/gradients/owned_bf16.wgsl"),
            (_, None) => include_str!("../shaders/gradients/value.wgsl"),
            (_, Some(Half::F16)) => include_str!("../shaders/gradients/value_f16.wgsl"),
            (_, Some(Half::Bf16)) => include_str!("../shaders/gradients/value_bf16.wgsl"),
        };
        let segments = include_str!("../shaders/access/segments.wgsl");
        if self == Self::Owned {
            vec![window, access, gradients]
        } else {
            vec![window, segments, access, gradients]
        }
    }

    /// The bindings of group 1; `table` is the map from blocks to segments.
    pub(crate) fn bindings(self, table: bool) -> Vec<(u32, Binding)> {
        let mut bindings = vec![(0, Binding::Uniform), (1, Binding::ReadWrite)];
        match self {
            Self::Owned | Self::Borrowed => bindings.push((2, Binding::Read)),
            Self::Far => bindings.push((2, Binding::ReadWrite)),
            Self::Pooled => {}
        }
        if table {
            bindings.push((3, Binding::Read));
        }
        bindings
    }
}

/// One kernel's text and the name of its entry point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is, in words.
    pub name: String,
    /// The entry point; its `override LA_WORKGROUP: u32` is the workgroup size.
    pub entry: &'static str,
    /// The whole module.
    pub wgsl: String,
}

/// One group's settings, as far as they decide how its kernels are composed.
#[derive(Debug, Clone, Copy)]
pub struct Recipe<'a> {
    /// The rule.
    pub rule: &'a dyn Rule,
    /// Lookahead around it.
    pub lookahead: Option<&'a Lookahead>,
    /// What it has in common with the other groups.
    pub options: &'a Options,
    /// Where weights and gradients lie.
    pub access: Access,
}

/// The first pass of a reduction over each weight's neighbourhood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// The mean of each row of the gradient.
    Rows,
    /// The gradient's norm, and whether it is finite.
    Norm,
    /// The norms of the weights and of the rule's direction.
    Trust,
    /// The root mean squares of the weights and of the gradient over the root of its second moment.
    Scale,
    /// Whether what the rule would store is finite.
    Tried,
    /// What the adaptive alpha is found from.
    Alpha,
}

impl Measure {
    /// Every measure, in the order in which a step takes them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Rows, Self::Norm, Self::Trust, Self::Scale, Self::Tried, Self::Alpha];

    /// It sums squares.
    fn is_norm(self) -> bool {
        matches!(self, Self::Norm | Self::Trust | Self::Scale)
    }

    /// Values of a partial sum: two plain ones, or what `shaders/squares.wgsl` has for a norm, or for two.
    pub(crate) fn sums(self) -> u64 {
        match self {
            Self::Rows | Self::Tried | Self::Alpha => 2,
            Self::Norm => 4,
            Self::Trust | Self::Scale => 8,
        }
    }

    /// The type of a partial sum.
    fn sum_wgsl(self) -> String {
        let sum = match self.sums() {
            2 => "vec2f",
            4 => "vec4f",
            _ => "mat2x4f",
        };
        format!("alias La_Sum = {sum};")
    }
}

impl Recipe<'_> {
    pub(crate) fn planes(&self) -> Planes {
        Planes::new(self.rule, self.lookahead, self.options)
    }

    /// Gradients are centralised.
    pub(crate) fn centralises(&self) -> bool {
        self.options.centralise || self.rule.centralises()
    }

    /// The driver keeps the rule's second moment.
    pub(crate) fn is_factored(&self) -> bool {
        self.rule.factored(1).is_some()
    }

    /// Which reductions the group's steps need, in the order in which they are recorded.
    pub fn measures(&self) -> Vec<Measure> {
        let adaptive = self.lookahead.is_some() && self.options.adaptive.is_some();
        let all = [
            (self.centralises(), Measure::Rows),
            (self.options.measures_norm(), Measure::Norm),
            (self.rule.trust().is_some(), Measure::Trust),
            (self.is_factored(), Measure::Scale),
            (self.options.tries_updates(), Measure::Tried),
            (adaptive, Measure::Alpha),
        ];
        all.into_iter().filter(|(needed, _)| *needed).map(|(_, measure)| measure).collect()
    }

    /// The kernels need to know the tensor of a place.
    pub(crate) fn table(&self) -> bool {
        let by_tensor = self.lookahead.is_some()
            && self.options.adaptive.is_some_and(|adaptive| adaptive.scope == Scope::Tensor);
        self.access != Access::Owned
            || by_tensor
            || matches!(self.options.clip, Clip::TensorNorm(_))
            || self.centralises()
            || self.rule.trust().is_some()
            || self.is_factored()
    }

    /// The kernel of one inner step with the sync fused into it.
    pub fn step(&self) -> Source {
        let mut parts = self.common();
        parts.push(self.copy().to_owned());
        parts.extend(self.rest());
        parts.push(include_str!("../shaders/step.wgsl").to_owned());
        self.source("step", "la_step", parts)
    }

    /// The first pass of a reduction.
    pub fn partial(&self, measure: Measure) -> Source {
        let mut parts = self.common();
        parts.push(measure.sum_wgsl());
        if measure != Measure::Rows {
            parts.push(include_str!("../shaders/reduce.wgsl").to_owned());
        }
        if measure.is_norm() {
            parts.push(include_str!("../shaders/squares.wgsl").to_owned());
        }
        match measure {
            Measure::Rows => parts.push(include_str!("../shaders/measure/row.wgsl").to_owned()),
            Measure::Norm => parts.push(include_str!("../shaders/measure/gradient.wgsl").to_owned()),
            Measure::Trust => {
                parts.extend(self.rest());
                let stores = self.rule.trust().is_some_and(|trust| trust.measure_stores);
                parts.push(format!("const LA_MEASURE_STORES = {stores};"));
                parts.push(include_str!("../shaders/measure/trust.wgsl").to_owned());
            }
            Measure::Scale => {
                parts.extend(self.rest());
                parts.push(include_str!("../shaders/measure/scale.wgsl").to_owned());
            }
            Measure::Tried => {
                parts.extend(self.rest());
                parts.push(include_str!("../shaders/measure/tried.wgsl").to_owned());
            }
            Measure::Alpha => {
                parts.extend(self.slow_storage());
                let at = self.planes().curvature_at().unwrap_or(0);
                parts.push(format!("const LA_CURVATURE_AT = {at}u;"));
                let curvature = match self.options.adaptive.map(|adaptive| adaptive.curvature) {
                    Some(Curvature::Raw | Curvature::Given) => {
                        include_str!("../shaders/curvature/raw.wgsl")
                    }
                    Some(Curvature::Root) => include_str!("../shaders/curvature/root.wgsl"),
                    _ => include_str!("../shaders/curvature/corrected.wgsl"),
                };
                parts.push(curvature.to_owned());
                parts.push(include_str!("../shaders/measure/alpha.wgsl").to_owned());
            }
        }
        let pass = match measure {
            Measure::Rows => include_str!("../shaders/partial_rows.wgsl"),
            _ => include_str!("../shaders/partial.wgsl"),
        };
        parts.push(pass.to_owned());
        self.source(&format!("partial {measure:?}"), "la_partial", parts)
    }

    /// The first pass over the gradient of a rule whose second moment is the driver's.
    pub fn sums(&self) -> Source {
        let mut parts = self.common();
        parts.push(self.clip().to_owned());
        parts.push(include_str!("../shaders/gradient.wgsl").to_owned());
        parts.push(include_str!("../shaders/moments/sums.wgsl").to_owned());
        self.source("sums", "la_sums", parts)
    }

    /// The kernel that exchanges weights and slow weights.
    pub fn swap_slow(&self) -> Source {
        self.swap(include_str!("../shaders/swap/slow.wgsl"))
    }

    /// The kernel that exchanges weights and average.
    pub fn swap_average(&self) -> Source {
        self.swap(include_str!("../shaders/swap/average.wgsl"))
    }

    fn swap(&self, exchange: &str) -> Source {
        let mut parts = self.common();
        parts.push(self.copy().to_owned());
        parts.push(exchange.to_owned());
        parts.push(include_str!("../shaders/swap.wgsl").to_owned());
        self.source("swap", "la_swap", parts)
    }

    fn source(&self, kind: &str, entry: &'static str, parts: Vec<String>) -> Source {
        let (rule, access, policy) = (self.rule.name(), self.access, self.lookahead.map(|l| l.policy));
        Source { name: format!("{kind} of {rule}, {access:?}, {policy:?}"), entry, wgsl: parts.join("\n") }
    }

    /// What every kernel over the weights begins with: the rule, the control block, the access, the planes
    /// and the gradient before it is clipped.
    fn common(&self) -> Vec<String> {
        let mut hyper = Vec::new();
        self.rule.hyper(1, &mut hyper);
        let mut parts = vec![self.rule.wgsl()];
        if hyper.is_empty() {
            parts.push("struct Hyper { none: f32 }");
        }
        parts.push(include_str!("../shaders/control.wgsl"));
        parts.push(include_str!("../shaders/nan.wgsl"));
        parts.extend(self.access.wgsl(self.options.half_gradients));
        let options = self.options;
        let uses = |half| options.half_gradients == Some(half) || options.half_weights == Some(half);
        if uses(Half::F16) {
            parts.push(include_str!("../shaders/half/f16.wgsl"));
        }
        if uses(Half::Bf16) || options.slow_bf16 {
            parts.push(include_str!("../shaders/half/bf16.wgsl"));
        }
        let planes = self.planes();
        if planes.count() > 0 {
            parts.push(include_str!("../shaders/planes.wgsl"));
        }
        if !self.measures().is_empty() {
            parts.push(include_str!("../shaders/factors.wgsl"));
        }
        parts.push(match self.rule.trust() {
            None => include_str!("../shaders/trust/none.wgsl"),
            Some(_) => include_str!("../shaders/trust/tensor.wgsl"),
        });
        parts.push(match planes.accumulated {
            true => include_str!("../shaders/gather/accumulated.wgsl"),
            false => include_str!("../shaders/gather/none.wgsl"),
        });
        parts.push(match self.centralises() {
            true => include_str!("../shaders/centralise/rows.wgsl"),
            false => include_str!("../shaders/centralise/none.wgsl"),
        });
        let mut parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
        parts.push(self.state(&planes));
        let resets = self.lookahead.is_some_and(|lookahead| lookahead.policy.resets());
        parts.push(format!(
            "const LA_STATE_RESETS = {resets};\nconst LA_OUTER_SLOTS = {}u;\nconst LA_OUTER_AT = {}u;\nconst LA_FISHER_AT = {}u;\nconst LA_AVERAGE_AT = {}u;\n\
             const LA_ACCUMULATED_AT = {}u;",
            planes.outer.len(),
            planes.outer_at(),
            planes.fisher_at(),
            planes.average_at(),
            planes.accumulated_at()
        ));
        let scope = self.options.adaptive.filter(|_| self.lookahead.is_some()).map(|adaptive| adaptive.scope);
        let alpha = match scope {
            None => include_str!("../shaders/alpha/fixed.wgsl"),
            Some(Scope::Model | Scope::Group) => include_str!("../shaders/alpha/window.wgsl"),
            Some(Scope::Tensor) => include_str!("../shaders/alpha/tensor.wgsl"),
        };
        parts.push(alpha.to_owned());
        parts
    }

    /// What else a kernel needs that calls the rule.
    fn rest(&self) -> Vec<String> {
        let mut parts = vec![self.clip(), include_str!("../shaders/gradient.wgsl")];
        if self.is_factored() {
            parts.push(include_str!("../shaders/normalise/factored.wgsl"));
            parts.push(include_str!("../shaders/normalise/tensor.wgsl"));
        } else {
            parts.push(include_str!("../shaders/normalise/none.wgsl"));
        }
        let planes = self.planes();
        parts.push(match planes.fisher {
            true => include_str!("../shaders/fisher/plane.wgsl"),
            false => include_str!("../shaders/fisher/none.wgsl"),
        });
        parts.push(match planes.average {
            true => include_str!("../shaders/average/plane.wgsl"),
            false => include_str!("../shaders/average/none.wgsl"),
        });
        let mut parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
        parts.extend(self.slow_storage());
        if self.lookahead.is_none() {
            parts.push(include_str!("../shaders/slow/none.wgsl").to_owned());
            return parts;
        }
        let (load, store) = (per_slot(planes.outer.len(), "outer_state", "la_load_outer_slot"), {
            let mut text = String::new();
            for slot in 0..planes.outer.len() {
                let _ = writeln!(text, "    la_store_outer_slot({slot}u, i, outer_state[{slot}]);");
            }
            text
        });
        if planes.outer.is_empty() {
            parts.push(include_str!("../shaders/outer/no_slots.wgsl").to_owned());
        } else {
            parts.push(include_str!("../shaders/outer/slots.wgsl").to_owned());
            parts.push(format!(
                "fn la_load_outer(i: u32) {{\n{load}}}\n\nfn la_store_outer(i: u32) {{\n{store}}}"
            ));
        }
        parts.push(self.options.outer.wgsl().to_owned());
        parts.push(include_str!("../shaders/slow/weights.wgsl").to_owned());
        parts
    }

    fn clip(&self) -> &'static str {
        match self.options.clip {
            Clip::None => include_str!("../shaders/clip/none.wgsl"),
            Clip::Value(_) => include_str!("../shaders/clip/value.wgsl"),
            Clip::GlobalNorm(_) => include_str!("../shaders/clip/global.wgsl"),
            Clip::TensorNorm(_) => include_str!("../shaders/clip/tensor.wgsl"),
        }
    }

    fn slow_storage(&self) -> Vec<String> {
        let parts: &[&str] = match (self.lookahead, self.options.slow_bf16) {
            (None, _) => &[],
            (Some(_), false) => &[include_str!("../shaders/slow/f32.wgsl")],
            (Some(_), true) => {
                &[include_str!("../shaders/half/random.wgsl"), include_str!("../shaders/slow/bf16.wgsl")]
            }
        };
        parts.iter().map(|part| part.to_string()).collect()
    }

    fn copy(&self) -> &'static str {
        match self.options.half_weights {
            None => include_str!("../shaders/half/no_copy.wgsl"),
            Some(Half::F16) => include_str!("../shaders/half/copy_f16.wgsl"),
            Some(Half::Bf16) => include_str!("../shaders/half/copy_bf16.wgsl"),
        }
    }

    /// The state part of a kernel that calls the rule.
    fn state(&self, planes: &Planes) -> String {
        let slots = planes.slots.len();
        if slots == 0 {
            return include_str!("../shaders/state/none.wgsl").to_owned();
        }
        let sync = match self.lookahead.map(|lookahead| lookahead.policy) {
            Some(StatePolicy::Interpolate) => include_str!("../shaders/state/interpolated.wgsl"),
            Some(StatePolicy::Reset) => include_str!("../shaders/state/reset.wgsl"),
            _ => include_str!("../shaders/state/kept.wgsl"),
        };
        let load = per_slot(slots, "state", "la_load_slot");
        let (mut store, mut sync_calls, mut wrong) = (String::new(), String::new(), Vec::new());
        for slot in 0..slots {
            wrong.push(format!("la_is_not_finite(state[{slot}])"));
            let _ = writeln!(store, "    la_store_slot({slot}u, i, state[{slot}]);");
            let _ = writeln!(sync_calls, "    state[{slot}] = la_sync_slot({slot}u, i, state[{slot}]);");
        }
        let calls = format!(
            "const LA_SLOTS = {slots}u;\n\nfn la_load_state(i: u32) {{\n{load}}}\n\nfn la_store_state(i: u32) {{\n{store}}}\n\n\
             fn la_sync_state(i: u32) {{\n{sync_calls}}}\n\n\
             fn la_state_is_not_finite() -> vec4<bool> {{\n    return {};\n}}\n",
            wrong.join(" | ")
        );
        [include_str!("../shaders/state/slots.wgsl"), sync, &calls].join("\n")
    }

    /// The bindings of group 2: what is the optimizer's own. Group 3 is a step's half-width copy, or the spans and
    /// partial sums of a reduction's first pass.
    pub(crate) fn own_bindings(&self) -> Vec<(u32, Binding)> {
        let all = [
            (self.planes().count() > 0, 0, Binding::ReadWrite),
            (self.lookahead.is_some(), 1, Binding::ReadWrite),
            (!self.measures().is_empty(), 2, Binding::Read),
        ];
        all.into_iter().filter(|(used, ..)| *used).map(|(_, index, kind)| (index, kind)).collect()
    }
}

/// One load for each slot. A loop would index the array by a variable, and some drivers (SwiftShader) then keep
/// it in memory: half the speed.
fn per_slot(slots: usize, array: &str, call: &str) -> String {
    let mut text = String::new();
    for slot in 0..slots {
        let _ = writeln!(text, "    {array}[{slot}] = {call}({slot}u, i);");
    }
    text
}

/// The second pass of a reduction. `scaled`: gradients are of the loss times the loss scale.
pub fn finish(measure: Measure, scaled: bool) -> Source {
    let conclude = match measure {
        Measure::Rows => include_str!("../shaders/conclude/mean.wgsl"),
        Measure::Norm => include_str!("../shaders/conclude/norm.wgsl"),
        Measure::Trust => include_str!("../shaders/conclude/trust.wgsl"),
        Measure::Scale => include_str!("../shaders/conclude/scale.wgsl"),
        Measure::Tried => include_str!("../shaders/conclude/tried.wgsl"),
        Measure::Alpha => include_str!("../shaders/conclude/alpha.wgsl"),
    };
    let unscale =
        format!("const LA_UNSCALE = {}u;\n{}", params::UNSCALE, include_str!("../shaders/gain/unscale.wgsl"));
    let gain = match (measure, scaled) {
        (Measure::Norm, true) => unscale.as_str(),
        (Measure::Norm, false) => include_str!("../shaders/gain/one.wgsl"),
        _ => "",
    };
    let sum = measure.sum_wgsl();
    let mut parts = vec![sum.as_str(), include_str!("../shaders/ranges.wgsl")];
    match measure {
        Measure::Rows => parts.push(include_str!("../shaders/finish_rows.wgsl")),
        _ => {
            parts.extend([include_str!("../shaders/reduce.wgsl"), include_str!("../shaders/finish.wgsl")]);
        }
    }
    if measure.is_norm() {
        parts.push(include_str!("../shaders/split.wgsl"));
    }
    parts.extend([gain, conclude]);
    Source { name: format!("finished {measure:?}"), entry: "la_finish", wgsl: parts.join("\n") }
}

/// What becomes of the first pass's sums: the second moments, and the means of each matrix's rows.
pub fn moments() -> [Source; 2] {
    let fold = [
        include_str!("../shaders/moments/hyper.wgsl"),
        include_str!("../shaders/control.wgsl"),
        include_str!("../shaders/moments/entries.wgsl"),
        include_str!("../shaders/moments/fold.wgsl"),
    ];
    let means = [
        include_str!("../shaders/moments/hyper.wgsl"),
        include_str!("../shaders/control.wgsl"),
        include_str!("../shaders/moments/means.wgsl"),
    ];
    [
        Source { name: "second moments".to_owned(), entry: "la_fold", wgsl: fold.join("\n") },
        Source { name: "means of rows".to_owned(), entry: "la_means", wgsl: means.join("\n") },
    ]
}

/// What a sync does to the second moments that are the driver's, if anything.
pub fn sync_moments(policy: StatePolicy) -> Option<Source> {
    let policy = match policy {
        StatePolicy::Maintain => return None,
        StatePolicy::Interpolate => include_str!("../shaders/moments/interpolated.wgsl"),
        StatePolicy::Reset => include_str!("../shaders/moments/reset.wgsl"),
    };
    let parts = [
        include_str!("../shaders/moments/hyper.wgsl"),
        include_str!("../shaders/control.wgsl"),
        include_str!("../shaders/moments/entries.wgsl"),
        policy,
        include_str!("../shaders/moments/sync.wgsl"),
    ];
    Some(Source { name: "sync of second moments".to_owned(), entry: "la_sync", wgsl: parts.join("\n") })
}

/// From what a guard decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The gradient.
    AtOnce,
    /// Nothing yet: the update is to be tried first.
    Preview,
    /// The gradient and the update.
    Tried,
}

/// The kernel that decides whether a step is taken.
pub fn decide(decision: Decision) -> Source {
    let from = match decision {
        Decision::AtOnce => include_str!("../shaders/guard/at_once.wgsl"),
        Decision::Preview => include_str!("../shaders/guard/preview.wgsl"),
        Decision::Tried => include_str!("../shaders/guard/tried.wgsl"),
    };
    let wgsl = [include_str!("../shaders/guard.wgsl"), from].join("\n");
    Source { name: "guard".to_owned(), entry: "la_decide", wgsl }
}

/// Every kernel that a rule can need with these options: each access and policy. For checking a rule, or
/// translating it ahead of time.
pub fn all(rule: &dyn Rule, options: &Options) -> Vec<Source> {
    use StatePolicy::{Interpolate, Maintain, Reset};
    let lookaheads = [None, Some(Maintain), Some(Interpolate), Some(Reset)]
        .map(|policy| policy.map(|policy| Lookahead::default().policy(policy)));
    let mut sources = Vec::new();
    for access in Access::ALL {
        for lookahead in &lookaheads {
            let recipe = Recipe { rule, lookahead: lookahead.as_ref(), options, access };
            sources.push(recipe.step());
            sources.extend(recipe.measures().into_iter().map(|measure| recipe.partial(measure)));
            sources.extend(
                recipe.measures().into_iter().map(|measure| finish(measure, options.guard.is_some())),
            );
            if recipe.is_factored() {
                sources.push(recipe.sums());
                sources.extend(moments());
                sources.extend(lookahead.and_then(|lookahead| sync_moments(lookahead.policy)));
            }
            if lookahead.is_some() && !options.slow_bf16 {
                sources.push(recipe.swap_slow());
            }
            if options.average.is_some() {
                sources.push(recipe.swap_average());
            }
        }
    }
    if options.guard.is_some() {
        sources.extend([Decision::AtOnce, Decision::Preview, Decision::Tried].map(decide));
    }
    sources
}

/// One binding of a bind group layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// A uniform buffer.
    Uniform,
    /// A uniform buffer with a dynamic offset.
    DynamicUniform,
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer.
    ReadWrite,
}
