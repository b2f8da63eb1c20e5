//! What a kernel is asked for.

use crate::{
    config::{alpha::Scope, lookahead::Lookahead, options::Options, shape::Shape, transform::Reduced},
    layout::planes::Planes,
    rules::Rule,
};

/// Where weights and gradients lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// In the flat buffers of the layout.
    Owned,
    /// In buffers of the caller's.
    Borrowed(Width),
    /// In one buffer of the caller's, near enough for one binding.
    Pooled(Width),
    /// In one buffer of the caller's, too far apart for one binding.
    Far(Width),
    /// In several pairs of buffers of the caller's.
    Several(Width),
}

/// How much of a caller's buffer a kernel loads and stores at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Width {
    /// One value: tensors may start at any.
    Value,
    /// Four: each tensor starts at a multiple of them.
    Vec4,
}

impl Access {
    /// Every access to the caller's buffers.
    pub const BORROWED: [Self; 8] = [
        Self::Borrowed(Width::Value),
        Self::Pooled(Width::Value),
        Self::Far(Width::Value),
        Self::Borrowed(Width::Vec4),
        Self::Pooled(Width::Vec4),
        Self::Far(Width::Vec4),
        Self::Several(Width::Value),
        Self::Several(Width::Vec4),
    ];

    /// Those of a plan whose dispatches bind one pair of buffers.
    pub(crate) const OF_ONE_PAIR: [Self; 6] = {
        let [a, b, c, d, e, f, ..] = Self::BORROWED;
        [a, b, c, d, e, f]
    };

    /// Every access.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        [Self::Owned].into_iter().chain(Self::BORROWED)
    }

    /// How much is loaded at once.
    pub(crate) fn width(self) -> Width {
        match self {
            Self::Owned => Width::Vec4,
            Self::Borrowed(width) | Self::Pooled(width) | Self::Far(width) | Self::Several(width) => width,
        }
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
    /// Where its weights and gradients lie, if it is about them.
    pub access: Option<Access>,
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
    /// How they are cut.
    pub shape: Shape,
    /// What all tensors have in common.
    pub tensors: Tensors,
}

/// What is known of the shapes of all tensors of a group: nothing by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tensors {
    /// Every row that is centralised has at least 32 values, as many as a thread of a step takes at most.
    pub long_rows: bool,
    /// Every four values that belong together have one entry of a factored second moment by one dimension, and by the
    /// other four side by side.
    pub even_moments: bool,
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
    /// The dot products of the residuals that Anderson acceleration combines, and its coefficients.
    Residuals,
}

impl Measure {
    /// Every measure, in the order in which a step takes them.
    pub(crate) const ALL: [Self; 7] =
        [Self::Rows, Self::Norm, Self::Trust, Self::Scale, Self::Tried, Self::Alpha, Self::Residuals];

    /// Those of a sync that has a dispatch of its own.
    pub(crate) const OF_SYNC: [Self; 2] = [Self::Alpha, Self::Residuals];

    /// Threads that sum a span together.
    pub(crate) fn lanes(self, shape: Shape) -> u32 {
        if self == Self::Rows { shape.row_lanes } else { shape.lanes }
    }

    /// Threads that add up the partial sums of a range: a row has few.
    pub(crate) fn finishing_lanes(self, shape: Shape) -> u32 {
        if self == Self::Rows { 1 } else { shape.lanes }
    }

    /// Values of a span at most: enough for each thread, and not so many that few spans are left.
    pub(crate) fn span(self, shape: Shape) -> u64 {
        let each = match (self, self.lanes(shape)) {
            (Self::Rows, _) => 256,
            (_, 1) => 1024,
            _ => 64,
        };
        each * u64::from(self.lanes(shape))
    }

    /// Values of a partial sum: two plain ones, or what `shaders/parts/squares.wgsl` has for a norm, or for two, or what
    /// `shaders/residuals.wgsl` has for so many columns.
    pub(crate) fn sums(self, columns: u32) -> u64 {
        match self {
            Self::Residuals => 2 + u64::from(columns * (columns + 1)),
            Self::Rows | Self::Tried | Self::Alpha => 2,
            Self::Norm => 4,
            Self::Trust | Self::Scale => 8,
        }
    }
}

impl Measure {
    /// Factors of a range.
    pub(crate) fn factors(self, columns: u32) -> u32 {
        if self == Self::Residuals { columns } else { 1 }
    }

    /// Values of a range's result.
    pub(crate) fn results(self, columns: u32) -> u32 {
        if self == Self::Residuals { columns } else { 2 }
    }
}

impl Recipe<'_> {
    pub(crate) fn planes(&self) -> Planes {
        Planes::new(self.rule, self.lookahead, self.options)
    }

    /// A round has several tasks.
    pub(crate) fn has_tasks(&self) -> bool {
        self.lookahead.is_some_and(Lookahead::has_tasks)
    }

    /// The driver keeps the rule's second moment.
    pub(crate) fn is_factored(&self) -> bool {
        self.rule.factored(1).is_some()
    }

    /// Its slow step is Anderson's.
    pub(crate) fn accelerates(&self) -> bool {
        self.lookahead.is_some() && self.options.anderson.is_some()
    }

    /// The kernels know what is each tensor's alone at a sync.
    pub(crate) fn syncs_by_tensor(&self) -> bool {
        self.lookahead.is_some() && self.options.scope() == Scope::Tensor
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
            (self.accelerates(), Measure::Residuals),
        ];
        all.into_iter().filter(|(needed, _)| *needed).map(|(_, measure)| measure).collect()
    }

    /// Whether a guard's kernel can do the second passes before it as well, where there is no other group: nothing is
    /// measured or told between them, and they are of one range.
    pub(crate) fn decides_at_once(&self) -> bool {
        self.options.guard.is_some()
            && !self.options.measures_what_is_told()
            && !self.means_follow_norm()
            && !matches!(self.options.norm(), Some(Reduced::TensorNorm(_)))
    }

    /// The means of rows are of what a norm was needed for.
    pub(crate) fn means_follow_norm(&self) -> bool {
        let [rows, norm] = [Measure::Rows, Measure::Norm].map(|measure| self.transforms_before(measure));
        self.centralises() && norm < rows
    }

    /// What a guard knows of the cycles here.
    pub(crate) fn cycles(&self) -> Cycles {
        Cycles { tasks: self.has_tasks(), anderson: self.options.anderson.is_some() }
    }

    /// The kernels need to know the tensor of a place.
    pub(crate) fn table(&self) -> bool {
        self.access != Access::Owned
            || self.syncs_by_tensor()
            || matches!(self.options.norm(), Some(Reduced::TensorNorm(_)))
            || self.asks_for_places()
            || self.centralises()
            || self.rule.trust().is_some()
            || self.is_factored()
    }
}

/// What a guard knows of cycles besides their length.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cycles {
    /// A round has several tasks.
    pub tasks: bool,
    /// Iterates are kept, and combined at a sync.
    pub anderson: bool,
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

impl Decision {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::AtOnce, Self::Preview, Self::Tried];

    /// The reduction just before it, of whatever a step measures.
    pub fn after(self) -> Measure {
        match self {
            Self::AtOnce | Self::Preview => Measure::Norm,
            Self::Tried => Measure::Tried,
        }
    }
}
