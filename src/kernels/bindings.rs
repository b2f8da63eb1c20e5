//! What kernels bind, as plain data.

use super::spec::{Access, Recipe};

/// Where the weights' bindings start of several pairs of buffers, as in `shaders/parts/place.wgsl`.
pub(crate) const WEIGHTS_OF_PAIRS: u32 = 10;

/// Where the gradients' start.
pub(crate) const GRADIENTS_OF_PAIRS: u32 = 20;

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
    /// The bindings of group 1; `table` is the map from blocks to segments, and several pairs of buffers are so many.
    pub(crate) fn bindings(self, table: bool, pairs: u32) -> Vec<(u32, Binding)> {
        let mut bindings = vec![(0, Binding::Uniform)];
        match self {
            Self::Owned | Self::Borrowed(_) => bindings.extend([(1, Binding::ReadWrite), (2, Binding::Read)]),
            Self::Far(_) => bindings.extend([(1, Binding::ReadWrite), (2, Binding::ReadWrite)]),
            Self::Pooled(_) => bindings.push((1, Binding::ReadWrite)),
            Self::Several(_) => {
                bindings.extend((0..pairs).map(|pair| (WEIGHTS_OF_PAIRS + pair, Binding::ReadWrite)));
                bindings.extend((0..pairs).map(|pair| (GRADIENTS_OF_PAIRS + pair, Binding::Read)));
            }
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
