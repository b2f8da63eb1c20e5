//! What kernels bind, as plain data.

use super::spec::{Access, Recipe};

/// One binding of a bind group layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binding {
    /// A uniform buffer.
    Uniform,
    /// A uniform buffer with a dynamic offset.
    DynamicUniform,
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer.
    ReadWrite,
}

impl Access {
    /// The bindings of group 1; `table` is the map from blocks to segments.
    pub(crate) fn bindings(self, table: bool) -> Vec<(u32, Binding)> {
        let mut bindings = vec![(0, Binding::Uniform), (1, Binding::ReadWrite)];
        match self {
            Self::Owned | Self::Borrowed(_) => bindings.push((2, Binding::Read)),
            Self::Far(_) => bindings.push((2, Binding::ReadWrite)),
            Self::Pooled(_) => {}
        }
        if table {
            bindings.push((3, Binding::Read));
        }
        bindings
    }
}

impl Recipe<'_> {
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
