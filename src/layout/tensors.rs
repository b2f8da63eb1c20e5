//! The one layout that weights, gradients, state and slow weights share: all tensors side by side.
//!
//! Everything here is arithmetic on the host. Lengths and offsets count f32 values unless they say
//! bytes.

use std::{collections::HashSet, ops::Range};

use super::{
    limits::Bounds,
    units::{down, up},
};
use crate::error::{Error, list};

/// Values that an optimizer holds at most. The host keeps tables of where each buffer's share of them lies, and no device
/// has memory for more.
const MOST_VALUES: u64 = 1 << 36;

/// A tensor to lay out.
#[derive(Debug, Clone)]
pub(crate) struct TensorSpec {
    pub name: String,
    pub shape: Vec<usize>,
    /// Index of its group.
    pub group: usize,
}

/// A tensor in the layout.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub len: u64,
    pub group: usize,
    /// One piece, unless the tensor is larger than a chunk.
    pub pieces: Vec<Piece>,
}

/// A part of one tensor that lies in one chunk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    /// Which chunk.
    pub chunk: usize,
    /// Where in the chunk.
    pub offset: u64,
    /// Which of the tensor's values.
    pub values: Range<u64>,
}

impl Piece {
    pub fn len(&self) -> u64 {
        self.values.end - self.values.start
    }

    /// Where in the chunk, without the padding.
    pub fn span(&self) -> Range<u64> {
        self.offset..self.offset + self.len()
    }
}

/// The part of one chunk that one dispatch covers: all of one group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    pub group: usize,
    pub chunk: usize,
    pub offset: u64,
    pub len: u64,
}

impl Window {
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len
    }
}

/// Where everything lies.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub tensors: Vec<Tensor>,
    /// Values in each chunk: one buffer each of weights, gradients and slow weights.
    pub chunks: Vec<u64>,
    pub windows: Vec<Window>,
}

impl Layout {
    /// Lays the tensors out, group by group. `slots[g]` is how many state slots group g has: one
    /// window's slots are one binding. `slack` values are left free in every piece, for borrowed
    /// ranges, whose bindings start up to a block before them.
    pub fn new(specs: &[TensorSpec], slots: &[usize], bounds: &Bounds, slack: u64) -> Result<Self, Error> {
        if specs.is_empty() {
            return Err(Error::NoTensors);
        }
        let mut tensors = Vec::with_capacity(specs.len());
        let mut names = HashSet::new();
        let mut total = 0;
        for spec in specs {
            if spec.name.is_empty() {
                return Err(Error::EmptyName { what: "tensor" });
            }
            if !names.insert(spec.name.as_str()) {
                return Err(Error::DuplicateName { what: "tensor", name: spec.name.clone() });
            }
            let len = count(spec)?;
            total += len;
            if total > MOST_VALUES {
                let (tensor, shape) = (spec.name.clone(), spec.shape.clone());
                let problem = "with the tensors before it, that is more than 2^36 elements (256 GiB)";
                return Err(Error::Shape { tensor, shape, problem });
            }
            tensors.push(Tensor {
                name: spec.name.clone(),
                shape: spec.shape.clone(),
                len,
                group: spec.group,
                pieces: vec![],
            });
        }
        let mut layout = Self { tensors, chunks: vec![0], windows: vec![] };
        for (group, &slots) in slots.iter().enumerate() {
            let begin = (layout.chunks.len() - 1, layout.chunks[layout.chunks.len() - 1]);
            layout.place_group(group, bounds.chunk, slack);
            layout.cut_windows(group, begin, slots, bounds);
        }
        Ok(layout)
    }

    fn place_group(&mut self, group: usize, chunk: u64, slack: u64) {
        let largest = chunk - slack;
        for tensor in self.tensors.iter_mut().filter(|tensor| tensor.group == group) {
            let mut done = 0;
            while done < tensor.len {
                let values = (tensor.len - done).min(largest);
                let mut last = self.chunks.len() - 1;
                if self.chunks[last] + up(values) > chunk {
                    self.chunks.push(0);
                    last += 1;
                }
                let offset = self.chunks[last];
                tensor.pieces.push(Piece { chunk: last, offset, values: done..done + values });
                self.chunks[last] += up(values);
                done += values;
            }
        }
    }

    fn cut_windows(&mut self, group: usize, begin: (usize, u64), slots: usize, bounds: &Bounds) {
        let largest = down(bounds.chunk / slots.max(1) as u64).min(bounds.dispatch);
        for chunk in begin.0..self.chunks.len() {
            let mut offset = if chunk == begin.0 { begin.1 } else { 0 };
            while offset < self.chunks[chunk] {
                let len = (self.chunks[chunk] - offset).min(largest);
                self.windows.push(Window { group, chunk, offset, len });
                offset += len;
            }
        }
    }

    /// Index of the tensor called `name`.
    pub fn find(&self, name: &str) -> Result<usize, Error> {
        self.tensors.iter().position(|tensor| tensor.name == name).ok_or_else(|| Error::UnknownName {
            what: "tensor",
            name: name.to_owned(),
            known: list(self.tensors.iter().map(|tensor| tensor.name.as_str())),
        })
    }

    /// The windows that `piece` lies in, each with the part of the piece that it holds, as a range of
    /// the window.
    pub fn windows_of<'a>(&'a self, piece: &'a Piece) -> impl Iterator<Item = (usize, Range<u64>)> + 'a {
        let span = piece.span();
        self.windows.iter().enumerate().filter_map(move |(index, window)| {
            let start = span.start.max(window.offset);
            let end = span.end.min(window.range().end);
            let inside = window.chunk == piece.chunk && start < end;
            inside.then(|| (index, start - window.offset..end - window.offset))
        })
    }

    /// The pieces in a window, in the order of their place: the tensor's index and the part of the piece
    /// that lies in the window, as the tensor's values and as a range of the window.
    pub fn pieces_in(&self, window: &Window) -> Vec<Part> {
        let mut parts = Vec::new();
        for (tensor, Tensor { pieces, .. }) in self.tensors.iter().enumerate() {
            for piece in pieces.iter().filter(|piece| piece.chunk == window.chunk) {
                let start = piece.offset.max(window.offset);
                let end = piece.span().end.min(window.range().end);
                if start < end {
                    parts.push(Part {
                        tensor,
                        value: piece.values.start + (start - piece.offset),
                        at: start - window.offset,
                        len: end - start,
                    });
                }
            }
        }
        parts.sort_by_key(|part| part.at);
        parts
    }
}

/// The part of a tensor that lies in one window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub tensor: usize,
    /// The tensor's first value in it.
    pub value: u64,
    /// Where it starts in the window; a multiple of a block.
    pub at: u64,
    pub len: u64,
}

fn count(spec: &TensorSpec) -> Result<u64, Error> {
    let error = |problem| Error::Shape { tensor: spec.name.clone(), shape: spec.shape.clone(), problem };
    let len = spec.shape.iter().try_fold(1u64, |len, &size| len.checked_mul(size as u64));
    match len {
        Some(len) if len > MOST_VALUES => Err(error("more than 2^36 elements (256 GiB)")),
        Some(0) => Err(error("no elements; leave the tensor out")),
        Some(len) => Ok(len),
        None => Err(error("more than 2^36 elements (256 GiB)")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::units::TENSOR_ALIGN, *};
    use crate::config::shape::Shape;
    use proptest::prelude::*;

    fn specs(lens: &[(usize, usize)]) -> Vec<TensorSpec> {
        let spec = |(index, &(len, group)): (usize, &(usize, usize))| TensorSpec {
            name: format!("t{index}"),
            shape: vec![len],
            group,
        };
        lens.iter().enumerate().map(spec).collect()
    }

    fn bounds(chunk: u64, dispatch: u64) -> Bounds {
        Bounds { chunk, dispatch, shape: Shape::GPU }
    }

    #[test]
    fn small_models_are_one_window_whatever_the_number_of_tensors() {
        for tensors in [1, 2, 161] {
            let specs = specs(&vec![(3, 0); tensors]);
            let layout = Layout::new(&specs, &[2], &bounds(1 << 20, 1 << 20), 0).unwrap();
            assert_eq!(layout.windows.len(), 1);
            assert_eq!(layout.chunks, [tensors as u64 * TENSOR_ALIGN]);
        }
    }

    #[test]
    fn shapes_without_elements_and_huge_ones_are_refused() {
        for shape in [vec![0], vec![3, 0], vec![usize::MAX, 2], vec![1 << 40], vec![(1 << 36) + 1]] {
            let spec = TensorSpec { name: "w".into(), shape, group: 0 };
            let error = Layout::new(&[spec], &[0], &bounds(1 << 20, 1 << 20), 0).unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{error}");
        }
        let scalar = TensorSpec { name: "w".into(), shape: vec![], group: 0 };
        assert_eq!(Layout::new(&[scalar], &[0], &bounds(1024, 1024), 0).unwrap().tensors[0].len, 1);
    }

    proptest! {
        /// Every value of every tensor lies in exactly one window of its group, no two share a place,
        /// and no window is larger than the limits allow.
        #[test]
        fn every_value_has_one_place(
            lens in prop::collection::vec((1usize..2000, 0usize..3), 1..12),
            chunk in 8u64..20, dispatch in 4u64..20, slots in prop::collection::vec(0usize..4, 3),
            slack in prop::sample::select(vec![0, TENSOR_ALIGN]),
        ) {
            let bounds = bounds(chunk * TENSOR_ALIGN, dispatch * TENSOR_ALIGN);
            let layout = Layout::new(&specs(&lens), &slots, &bounds, slack).unwrap();
            prop_assert!(layout.chunks.iter().all(|len| *len <= bounds.chunk));
            for window in &layout.windows {
                let slots = slots[window.group].max(1) as u64;
                prop_assert!(window.len * slots <= bounds.chunk && window.len <= bounds.dispatch);
            }
            let mut taken = HashSet::new();
            for (index, tensor) in layout.tensors.iter().enumerate() {
                let mut values = vec![false; tensor.len as usize];
                for piece in &tensor.pieces {
                    prop_assert_eq!(piece.offset % TENSOR_ALIGN, 0);
                    prop_assert!(piece.len() <= bounds.chunk - slack);
                    let mut next = piece.values.start;
                    for (window, range) in layout.windows_of(piece) {
                        let window = &layout.windows[window];
                        prop_assert_eq!(window.group, tensor.group);
                        for at in range {
                            prop_assert!(taken.insert((window.chunk, window.offset + at)));
                            prop_assert!(!std::mem::replace(&mut values[next as usize], true));
                            next += 1;
                        }
                    }
                    prop_assert_eq!(next, piece.values.end);
                }
                prop_assert!(values.into_iter().all(|placed| placed));
                let parts = layout.windows.iter().flat_map(|window| layout.pieces_in(window));
                let covered: u64 = parts.filter(|part| part.tensor == index).map(|part| part.len).sum();
                prop_assert_eq!(covered, tensor.len);
            }
        }
    }
}
