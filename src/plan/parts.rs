//! Where each field of each tensor lies in the program's buffers.

use super::{
    program::{Buffer, Id},
    whole::Plan,
};
use crate::{
    config::precision::{Half, bytes},
    error::{Error, list},
    layout::{field::Field, tensors::Tensor, units::VALUE},
};

/// A range of one of the program's buffers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    pub buffer: Id<Buffer>,
    /// Bytes.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

impl Plan {
    /// A tensor's parts of flat buffers, one a piece.
    pub(crate) fn flat(buffers: &[Id<Buffer>], tensor: &Tensor, half: Option<Half>) -> Vec<Part> {
        let part = |piece: &crate::layout::tensors::Piece| Part {
            buffer: buffers[piece.chunk],
            offset: bytes(piece.offset, half),
            size: bytes(piece.len(), half),
        };
        tensor.pieces.iter().map(part).collect()
    }

    /// What is kept of a tensor. Gradients come anew with every step, and with them those of the mini-batch at the slow
    /// weights; the full ones there serve a whole cycle. Iterates come anew with every cycle: those of the one under way so
    /// far; with a guard, which alone knows how many that is, all.
    pub(crate) fn fields_of(&self, tensor: usize) -> Vec<Field<'static>> {
        let group = &self.state.groups[self.layout.tensors[tensor].group];
        let mut fields = vec![Field::Weights];
        fields.extend(group.lookahead.map(|_| Field::SlowWeights));
        fields.extend(group.planes.fields().into_iter().filter(|field| *field != Field::SnapshotGradients));
        if self.guard.is_none() {
            let kept = group.cycle.kept(&group.planes.iterates);
            fields.retain(|field| !matches!(field, Field::Iterate(step) if !kept.contains(step)));
        }
        fields.extend(self.moment_fields(tensor));
        fields
    }

    /// The second moments of a tensor that are the driver's.
    pub(crate) fn moment_fields(&self, tensor: usize) -> impl Iterator<Item = Field<'static>> {
        let all = self.reductions.moments.as_ref().map(|moments| moments.fields(tensor));
        all.into_iter().flatten().map(|(field, ..)| field)
    }

    /// One of them: its place among the factors, and how many values it has.
    fn moment(&self, field: Field<'_>, tensor: usize) -> Option<(Field<'static>, u64, u64)> {
        let moments = self.reductions.moments.as_ref()?;
        moments.fields(tensor).into_iter().find(|(other, ..)| *other == field)
    }

    /// How many values a field of a tensor has.
    pub(crate) fn field_len(&self, field: Field<'_>, tensor: usize) -> u64 {
        self.moment(field, tensor).map_or(self.layout.tensors[tensor].len, |(.., len)| len)
    }

    /// Where a plane of a tensor lies: one part for each window.
    pub(crate) fn plane_parts(&self, field: Field<'_>, index: usize) -> Result<Vec<Part>, Error> {
        if let (Some((_, at, len)), Some(buffer)) = (self.moment(field, index), self.reductions.factors) {
            return Ok(vec![Part { buffer, offset: at * VALUE, size: len * VALUE }]);
        }
        let tensor = &self.layout.tensors[index];
        let mut fields = self.state.groups[tensor.group].planes.fields();
        let Some(plane) = fields.iter().position(|other| *other == field) else {
            fields.extend(self.moment_fields(index));
            let known: Vec<String> = fields.iter().map(Field::to_string).collect();
            return Err(Error::UnknownName {
                what: "field of the tensor",
                name: field.to_string(),
                known: list(known.iter().map(String::as_str)),
            });
        };
        let parts = tensor.pieces.iter().flat_map(|piece| self.layout.windows_of(piece));
        let parts = parts.filter_map(|(window, range)| {
            let start = plane as u64 * self.layout.windows[window].len + range.start;
            let size = (range.end - range.start) * VALUE;
            Some(Part { buffer: self.windows[window].planes?, offset: start * VALUE, size })
        });
        Ok(parts.collect())
    }
}
