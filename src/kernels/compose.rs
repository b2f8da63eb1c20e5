//! Kernels composed from the whole shaders of `shaders/`: which file, and what its flags and numbers are.

#[cfg(feature = "validate")]
use super::transforms;
use super::{
    Access, Cycles, Decision, Measure, Recipe, Source, Tensors, Width,
    template::{Text, Values, expand},
};
#[cfg(feature = "validate")]
use crate::config::transform::Transform;
use crate::{
    config::{
        alpha::Curvature,
        lookahead::{Lookahead, StatePolicy},
        options::Options,
        precision::Half,
        shape::Shape,
    },
    layout::params::{self, NEVER, iterate},
    rules::Rule,
};

/// The shaders that are the driver's own, by the names that they are imported with.
const SHADERS: &[(&str, &str)] = &[
    ("finish", include_str!("../../shaders/finish.wgsl")),
    ("guard", include_str!("../../shaders/guard.wgsl")),
    ("measures/alpha", include_str!("../../shaders/measures/alpha.wgsl")),
    ("measures/norm", include_str!("../../shaders/measures/norm.wgsl")),
    ("measures/rows", include_str!("../../shaders/measures/rows.wgsl")),
    ("measures/scale", include_str!("../../shaders/measures/scale.wgsl")),
    ("measures/tried", include_str!("../../shaders/measures/tried.wgsl")),
    ("measures/trust", include_str!("../../shaders/measures/trust.wgsl")),
    ("moments/entries", include_str!("../../shaders/moments/entries.wgsl")),
    ("moments/fold", include_str!("../../shaders/moments/fold.wgsl")),
    ("moments/means", include_str!("../../shaders/moments/means.wgsl")),
    ("moments/roots", include_str!("../../shaders/moments/roots.wgsl")),
    ("moments/sums", include_str!("../../shaders/moments/sums.wgsl")),
    ("moments/sync", include_str!("../../shaders/moments/sync.wgsl")),
    ("partial", include_str!("../../shaders/partial.wgsl")),
    ("parts/access", include_str!("../../shaders/parts/access.wgsl")),
    ("parts/by_value", include_str!("../../shaders/parts/by_value.wgsl")),
    ("parts/by_vec4", include_str!("../../shaders/parts/by_vec4.wgsl")),
    ("parts/conclude", include_str!("../../shaders/parts/conclude.wgsl")),
    ("parts/control", include_str!("../../shaders/parts/control.wgsl")),
    ("parts/double", include_str!("../../shaders/parts/double.wgsl")),
    ("parts/double_lanes", include_str!("../../shaders/parts/double_lanes.wgsl")),
    ("parts/factored", include_str!("../../shaders/parts/factored.wgsl")),
    ("parts/factors", include_str!("../../shaders/parts/factors.wgsl")),
    ("parts/gradient", include_str!("../../shaders/parts/gradient.wgsl")),
    ("parts/half", include_str!("../../shaders/parts/half.wgsl")),
    ("parts/inner", include_str!("../../shaders/parts/inner.wgsl")),
    ("parts/iterates", include_str!("../../shaders/parts/iterates.wgsl")),
    ("parts/lanes", include_str!("../../shaders/parts/lanes.wgsl")),
    ("parts/lookahead", include_str!("../../shaders/parts/lookahead.wgsl")),
    ("parts/numbers", include_str!("../../shaders/parts/numbers.wgsl")),
    ("parts/pair", include_str!("../../shaders/parts/pair.wgsl")),
    ("parts/place", include_str!("../../shaders/parts/place.wgsl")),
    ("parts/slow", include_str!("../../shaders/parts/slow.wgsl")),
    ("parts/split", include_str!("../../shaders/parts/split.wgsl")),
    ("parts/squares", include_str!("../../shaders/parts/squares.wgsl")),
    ("parts/window", include_str!("../../shaders/parts/window.wgsl")),
    ("residuals", include_str!("../../shaders/residuals.wgsl")),
    ("solve", include_str!("../../shaders/solve.wgsl")),
    ("step", include_str!("../../shaders/step.wgsl")),
    ("swap", include_str!("../../shaders/swap.wgsl")),
];

/// The flags and numbers that shaders ask for: each 0 where a kernel does not set it.
const VALUES: &[&str] = &[
    "accumulated_at",
    "accumulates",
    "adaptive",
    "aligned",
    "alpha_by_tensor",
    "anchored",
    "anderson",
    "average",
    "average_at",
    "columns",
    "concludes",
    "conclusion",
    "curvature_at",
    "curvature_raw",
    "curvature_root",
    "even",
    "f16_gradients",
    "f16_weights",
    "factored",
    "far",
    "first_pass",
    "fisher",
    "fisher_at",
    "full_gradients_at",
    "half_gradients",
    "half_weights",
    "iterates_at",
    "keep",
    "lacks_hyper",
    "calls_rule",
    "reads_hyper",
    "reads_norms",
    "reads_tried",
    "interpolates",
    "lanes",
    "long_rows",
    "lookahead",
    "never",
    "measure_stores",
    "moves_state",
    "outer_at",
    "outer_slots",
    "owned",
    "one_column",
    "pairs",
    "plain",
    "plane_bits",
    "planes",
    "pooled",
    "preview",
    "products",
    "reductions",
    "resets_fisher",
    "row_means",
    "rows",
    "scaled",
    "segment",
    "several",
    "slots",
    "slow_bf16",
    "snapshot_gradients_at",
    "swaps_slow",
    "table",
    "task_mean_at",
    "tasks",
    "together",
    "syncs_state",
    "transforms",
    "tried",
    "trust",
    "unscale",
    "uses_bf16",
    "uses_f16",
    "values",
    "variance_reduced",
    "vec4s",
];

/// Words of a segment in a table: one more where it has a pair of buffers, too.
const SEGMENT: u32 = 8;

/// A kernel to be composed: the file it begins with, its entry point, and what that file and its imports ask for.
struct Kernel<'a> {
    file: &'static str,
    entry: &'static str,
    access: Option<Access>,
    /// What is imported by a name of its kind.
    texts: Vec<(&'static str, Text<'a>)>,
    /// What is imported as `transforms`.
    transforms: String,
    values: Values,
}

/// What kernels know of the flags for iterates.
const ITERATES: [(&str, u32); 3] =
    [("keep", iterate::KEEP), ("plane_bits", iterate::PLANE), ("never", NEVER)];

impl<'a> Kernel<'a> {
    fn new(file: &'static str, entry: &'static str) -> Self {
        let values = VALUES.iter().map(|name| (*name, 0)).collect();
        Self { file, entry, access: None, texts: vec![], transforms: String::new(), values }
    }

    fn text(mut self, name: &'static str, text: Text<'a>) -> Self {
        self.texts.push((name, text));
        self
    }

    fn values(mut self, values: impl IntoIterator<Item = (&'static str, u32)>) -> Self {
        self.values.extend(values);
        self
    }

    fn flags<const N: usize>(self, flags: [(&'static str, bool); N]) -> Self {
        self.values(flags.map(|(name, set)| (name, u32::from(set))))
    }

    fn measure(self, measure: Measure, lanes: u32) -> Self {
        let shader = shader(measure.shader()).unwrap_or("");
        self.text("measure", Text::Template(shader)).lanes(lanes)
    }

    /// So many threads sum together.
    fn lanes(self, lanes: u32) -> Self {
        self.values([("lanes", lanes), ("together", lanes - 1)])
    }

    /// Of gradients of the loss times the loss scale, or of the loss.
    fn scaled(self, scaled: bool) -> Self {
        self.flags([("scaled", scaled)]).values([("unscale", params::guard_state::UNSCALE as u32)])
    }

    /// The kernel. A mistake in the driver's own shaders, which the tests rule out, stands in the place of its text:
    /// whatever compiles it refuses and quotes it.
    fn compose(self, name: String) -> Source {
        let find = |name: &str| {
            let own = self.texts.iter().find(|(own, _)| *own == name).map(|(_, text)| *text);
            let transforms = (name == "transforms").then_some(Text::Verbatim(self.transforms.as_str()));
            own.or(transforms).or_else(|| shader(name).or_else(|| words(name)).map(Text::Template))
        };
        let mut wgsl = expand(self.file, &find, &self.values).unwrap_or_else(|mistake| mistake.to_string());
        if self.values.get("calls_rule") == Some(&0) {
            wgsl = format!("// {name}\n{wgsl}");
        }
        Source { name, entry: self.entry, wgsl, access: self.access }
    }
}

/// What [`params`] has in WGSL.
fn words(name: &str) -> Option<&'static str> {
    match name {
        "words/control" => Some(params::CONTROL_WGSL.as_str()),
        "words/guard" => Some(params::GUARD_WGSL.as_str()),
        _ => None,
    }
}

/// A shader of the driver's.
fn shader(name: &str) -> Option<&'static str> {
    SHADERS.iter().find(|(other, _)| *other == name).map(|(_, text)| *text)
}

impl Measure {
    /// The file that has both of its passes.
    fn shader(self) -> &'static str {
        match self {
            Self::Rows => "measures/rows",
            Self::Norm => "measures/norm",
            Self::Trust => "measures/trust",
            Self::Scale => "measures/scale",
            Self::Tried => "measures/tried",
            Self::Alpha => "measures/alpha",
            Self::Residuals => "residuals",
        }
    }
}

impl Recipe<'_> {
    /// The kernel of one inner step with the sync fused into it.
    pub fn step(&self) -> Source {
        let kernel = self.kernel("step", "la_step", true);
        kernel
            .flags([("long_rows", self.centralises() && self.tensors.long_rows)])
            .compose(self.title("step"))
    }

    /// The first pass of a reduction.
    pub fn partial(&self, measure: Measure) -> Source {
        let calls_rule = matches!(measure, Measure::Trust | Measure::Tried);
        if measure == Measure::Residuals {
            let kernel = self.kernel("residuals", "la_residuals", false);
            let kernel = kernel.flags([("factored", false), ("row_means", false)]);
            let columns = self.options.columns();
            let kernel = kernel.values([("products", columns * (columns + 1) / 2)]);
            return kernel.lanes(measure.lanes(self.shape)).compose(self.title("residuals"));
        }
        let mut kernel =
            self.kernel("partial", "la_partial", calls_rule).measure(measure, measure.lanes(self.shape));
        let stores = self.rule.trust().is_some_and(|trust| trust.measure_stores);
        let plain = match measure {
            Measure::Rows | Measure::Norm | Measure::Scale => true,
            // What is stored is measured once.
            Measure::Trust => !stores,
            Measure::Tried | Measure::Alpha | Measure::Residuals => false,
        };
        let factored = self.is_factored() && matches!(measure, Measure::Scale | Measure::Tried);
        kernel = kernel.flags([("first_pass", true), ("plain", plain), ("factored", factored)]);
        kernel.transforms = self.transforms_wgsl(Some(measure));
        kernel.compose(self.title(&format!("partial {measure:?}")))
    }

    /// The second pass of a reduction.
    pub fn finish(&self, measure: Measure) -> Source {
        match measure {
            Measure::Residuals => solve(self.options.columns(), self.shape),
            _ => finish(measure, self.options.norm_is_scaled(), self.shape),
        }
    }

    /// The first pass over the gradient of a rule whose second moment is the driver's.
    pub fn sums(&self) -> Source {
        let kernel = self.kernel("moments/sums", "la_sums", false);
        let kernel = kernel.flags([("factored", false)]);
        kernel.values([("together", self.shape.lanes - 1)]).compose(self.title("sums"))
    }

    /// The kernel that exchanges weights and slow weights.
    pub fn swap_slow(&self) -> Source {
        self.swap().flags([("swaps_slow", true)]).compose(self.title("swap"))
    }

    /// The kernel that exchanges weights and average.
    pub fn swap_average(&self) -> Source {
        self.swap().compose(self.title("swap"))
    }

    fn swap(&self) -> Kernel<'_> {
        self.kernel("swap", "la_swap", false).flags([("factored", false), ("row_means", false)])
    }

    fn title(&self, kind: &str) -> String {
        let (rule, access, policy) = (self.rule.name(), self.access, self.lookahead.map(|l| l.policy));
        format!("{kind} of {rule}, {access:?}, {policy:?}")
    }

    /// A kernel over the weights.
    fn kernel(&self, file: &'static str, entry: &'static str, calls_rule: bool) -> Kernel<'_> {
        let mut hyper = Vec::new();
        self.rule.hyper(1, &mut hyper);
        let planes = self.planes();
        let transforms = self.transforms_wgsl(None);
        Kernel { transforms, access: Some(self.access), ..Kernel::new(file, entry) }
            .text("rule", Text::Verbatim(self.rule.wgsl()))
            .text("outer", Text::Verbatim(self.options.outer.wgsl()))
            .flags([
                ("calls_rule", calls_rule),
                ("reads_hyper", calls_rule),
                ("lacks_hyper", calls_rule && hyper.is_empty()),
                ("trust", self.rule.trust().is_some()),
                ("measure_stores", self.rule.trust().is_some_and(|trust| trust.measure_stores)),
                ("factored", self.is_factored()),
                ("even", self.tensors.even_moments),
                ("table", self.table()),
                ("reductions", !self.measures().is_empty()),
                ("owned", self.access == Access::Owned),
                ("aligned", self.access.width() == Width::Vec4),
                ("pooled", matches!(self.access, Access::Pooled(_))),
                ("far", matches!(self.access, Access::Far(_))),
                ("several", self.has_several_pairs()),
                ("accumulates", planes.accumulated),
                ("transforms", !self.options.transforms.is_empty()),
                ("row_means", self.centralises()),
                ("values", self.asks_for_places()),
                ("average", planes.average),
                ("variance_reduced", planes.reduced),
            ])
            .values(self.plane_values())
            .values([("vec4s", self.shape.vec4s), ("pairs", self.shape.pairs)])
            .values([("segment", SEGMENT + u32::from(self.has_several_pairs()))])
            .flags(self.half_flags())
            .flags(self.lookahead_flags())
            .flags(self.anderson_flags())
            .values([("columns", self.options.columns())])
            .values(ITERATES)
    }

    /// Whether iterates are combined.
    fn anderson_flags(&self) -> [(&'static str, bool); 2] {
        let accelerates = self.accelerates();
        [("anderson", accelerates), ("one_column", accelerates && self.options.columns() == 1)]
    }

    fn has_several_pairs(&self) -> bool {
        matches!(self.access, Access::Several(_))
    }

    /// Where the planes are.
    fn plane_values(&self) -> [(&'static str, u32); 12] {
        let planes = self.planes();
        [
            ("planes", planes.count()),
            ("slots", planes.slots.len()),
            ("outer_slots", planes.outer.len()),
            ("outer_at", planes.outer_at()),
            ("fisher_at", planes.fisher_at()),
            ("curvature_at", planes.curvature_at().unwrap_or(0)),
            ("iterates_at", planes.iterates_at()),
            ("average_at", planes.average_at()),
            ("accumulated_at", planes.accumulated_at()),
            ("task_mean_at", planes.task_mean_at()),
            ("snapshot_gradients_at", planes.snapshot_gradients_at()),
            ("full_gradients_at", planes.full_gradients_at()),
        ]
        .map(|(name, value)| (name, value as u32))
    }

    /// What is half-width.
    fn half_flags(&self) -> [(&'static str, bool); 7] {
        let Options { half_gradients, half_weights, slow_bf16, .. } = *self.options;
        let uses = |half| half_gradients == Some(half) || half_weights == Some(half);
        [
            ("half_gradients", half_gradients.is_some()),
            ("f16_gradients", half_gradients == Some(Half::F16)),
            ("half_weights", half_weights.is_some()),
            ("f16_weights", half_weights == Some(Half::F16)),
            ("uses_f16", uses(Half::F16)),
            ("uses_bf16", uses(Half::Bf16) || slow_bf16),
            ("slow_bf16", slow_bf16),
        ]
    }

    /// What Lookahead does, and where its alpha is from.
    fn lookahead_flags(&self) -> [(&'static str, bool); 12] {
        let planes = self.planes();
        let policy = self.lookahead.map(|lookahead| lookahead.policy);
        let (interpolates, resets) =
            (policy == Some(StatePolicy::Interpolate), policy == Some(StatePolicy::Reset));
        let syncs_state = !planes.slots.is_empty() && (interpolates || resets);
        let adaptive = self.options.adaptive.filter(|_| self.lookahead.is_some());
        let curvature = adaptive.map(|adaptive| adaptive.curvature);
        [
            ("lookahead", self.lookahead.is_some()),
            ("tasks", self.has_tasks()),
            ("interpolates", interpolates),
            ("syncs_state", syncs_state),
            ("anchored", self.rule.anchored()),
            ("moves_state", syncs_state || self.rule.anchored()),
            ("fisher", planes.fisher),
            ("resets_fisher", planes.fisher && resets),
            ("adaptive", adaptive.is_some()),
            ("alpha_by_tensor", self.syncs_by_tensor()),
            ("curvature_raw", matches!(curvature, Some(Curvature::Raw | Curvature::Given))),
            ("curvature_root", curvature == Some(Curvature::Root)),
        ]
    }
}

/// What a transformation may use, and a call of it, for checking its text.
#[cfg(feature = "validate")]
pub(super) fn around_transform(transform: &dyn Transform) -> String {
    format!("{}\n{}", shader("parts/numbers").unwrap_or(""), transforms::call(transform))
}

/// The second pass of a reduction. `scaled`: gradients are of the loss times the loss scale.
/// [`Measure::Residuals`] has one of its own by the number of columns, which [`Recipe::finish`] knows; here they are eight.
pub fn finish(measure: Measure, scaled: bool, shape: Shape) -> Source {
    if measure == Measure::Residuals {
        return solve(8, shape);
    }
    Kernel::new("finish", "la_finish")
        .measure(measure, measure.finishing_lanes(shape))
        .scaled(scaled)
        .compose(format!("finished {measure:?}"))
}

/// The second pass of [`Measure::Residuals`], which solves a system of so many columns.
pub(crate) fn solve(columns: u32, shape: Shape) -> Source {
    let kernel = Kernel::new("solve", "la_solve").values([("columns", columns)]);
    kernel.lanes(Measure::Residuals.finishing_lanes(shape)).compose(format!("solved for {columns} columns"))
}

/// What becomes of the first pass's sums: the second moments, the means of each matrix's rows, and the roots of both.
pub fn moments(shape: Shape) -> [Source; 3] {
    let fold = Kernel::new("moments/fold", "la_fold").flags([("reads_hyper", true)]);
    let fold = fold.values([("together", shape.lanes - 1)]);
    let means = Kernel::new("moments/means", "la_means");
    let roots = Kernel::new("moments/roots", "la_roots");
    [
        fold.compose("second moments".to_owned()),
        means.compose("means of rows".to_owned()),
        roots.compose("roots of second moments".to_owned()),
    ]
}

/// What a sync does to the second moments that are the driver's, if anything.
pub fn sync_moments(lookahead: &Lookahead) -> Option<Source> {
    if lookahead.policy == StatePolicy::Maintain {
        return None;
    }
    let interpolates = lookahead.policy == StatePolicy::Interpolate;
    let kernel = Kernel::new("moments/sync", "la_sync")
        .flags([("interpolates", interpolates), ("tasks", lookahead.has_tasks())]);
    Some(kernel.compose("sync of second moments".to_owned()))
}

/// The kernel that decides whether a step is taken. `concludes`: it does the second pass of the reduction just before
/// ([`Decision::after`]) as well, for gradients that are `scaled` as [`finish`] says, and this shape.
pub fn decide(decision: Decision, concludes: Option<(bool, Shape)>, cycles: Cycles) -> Source {
    let mut kernel = Kernel::new("guard", "la_decide").flags([
        ("preview", decision == Decision::Preview),
        ("tried", decision == Decision::Tried),
        ("concludes", concludes.is_some()),
        ("reads_norms", decision == Decision::Tried || concludes.is_none()),
        ("reads_tried", decision == Decision::Tried && concludes.is_none()),
        ("tasks", cycles.tasks),
        ("anderson", cycles.anderson),
    ]);
    if let Some((scaled, shape)) = concludes {
        let measure = decision.after();
        kernel = kernel.measure(measure, measure.finishing_lanes(shape)).scaled(scaled);
        kernel = kernel.values([("conclusion", 2)]);
    }
    kernel.compose("guard".to_owned())
}

impl Recipe<'_> {
    /// The kernel that decides on a step of this group, where it is the only one and the device binds enough: at once
    /// with the second pass just before, where it can.
    pub fn decide(&self, decision: Decision) -> Source {
        let concludes = self.decides_at_once().then(|| (self.options.norm_is_scaled(), self.shape));
        decide(decision, concludes, self.cycles())
    }

    /// Every kernel that a group of these settings needs.
    pub fn sources(&self) -> Vec<Source> {
        let (options, measures) = (self.options, self.measures());
        let mut sources = vec![self.step()];
        sources.extend(measures.iter().map(|measure| self.partial(*measure)));
        sources.extend(measures.iter().map(|measure| self.finish(*measure)));
        if self.is_factored() {
            sources.push(self.sums());
            sources.extend(moments(self.shape));
            sources.extend(self.lookahead.and_then(sync_moments));
        }
        if self.lookahead.is_some() && !options.slow_bf16 {
            sources.push(self.swap_slow());
        }
        if options.average.is_some() {
            sources.push(self.swap_average());
        }
        if options.guard.is_some() {
            sources.extend(Decision::ALL.map(|decision| decide(decision, None, self.cycles())));
            if self.decides_at_once() {
                sources.extend(Decision::ALL.map(|decision| self.decide(decision)));
            }
        }
        sources
    }
}

/// Every kernel that a rule can need with these options, cut like this: each access and policy. For checking a rule, or
/// translating it ahead of time; a device's limits may leave fewer [pairs](Shape::pairs) of borrowed buffers.
pub fn all(rule: &dyn Rule, options: &Options, shape: Shape) -> Vec<Source> {
    use StatePolicy::{Interpolate, Maintain, Reset};
    let lookaheads = [None, Some(Maintain), Some(Interpolate), Some(Reset)]
        .map(|policy| policy.map(|policy| Lookahead::default().policy(policy)));
    // All that can be around a rule that reads the slow weights.
    let lookaheads = if rule.anchored() { lookaheads[1..2].to_vec() } else { lookaheads.to_vec() };
    let recipes = Access::all().flat_map(|access| {
        let recipe =
            move |lookahead| Recipe { rule, lookahead, options, access, shape, tensors: Tensors::default() };
        lookaheads.iter().map(move |lookahead| recipe(lookahead.as_ref()))
    });
    recipes.flat_map(|recipe| recipe.sources()).collect()
}
