//! What can be read back to the host, and where it lies.

use crate::{
    access::Slice,
    error::{Error, list},
    layout::VALUE,
    optimizer::Optimizer,
    transfer::Source,
};

/// What there is of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// The fast weights.
    Weights,
    /// The gradients, of tensors that are not borrowed.
    Gradients,
    /// The slow weights.
    SlowWeights,
    /// A state slot, by the rule's name for it.
    State(&'a str),
    /// The slow copy of a state slot, where the policy is to interpolate.
    SlowState(&'a str),
    /// A buffer of the outer step, by its name.
    Outer(&'a str),
    /// The empirical Fisher of an adaptive alpha.
    Fisher,
    /// The curvature that the caller wrote.
    Curvature,
    /// The average of the weights.
    Average,
    /// The sum of the micro-batches' gradients so far.
    Accumulated,
}

impl std::fmt::Display for Field<'_> {
    /// As [`Field::parse`] reads it: `weights`, `state.exp_avg`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Weights => f.write_str("weights"),
            Self::Gradients => f.write_str("gradients"),
            Self::SlowWeights => f.write_str("slow_weights"),
            Self::State(slot) => write!(f, "state.{slot}"),
            Self::SlowState(slot) => write!(f, "slow_state.{slot}"),
            Self::Outer(slot) => write!(f, "outer.{slot}"),
            Self::Fisher => f.write_str("fisher"),
            Self::Curvature => f.write_str("curvature"),
            Self::Average => f.write_str("average"),
            Self::Accumulated => f.write_str("accumulated"),
        }
    }
}

impl<'a> Field<'a> {
    /// The field that [`Display`](std::fmt::Display) writes so, if there is one.
    pub fn parse(text: &'a str) -> Option<Self> {
        Some(match (text, text.split_once('.')) {
            ("weights", _) => Self::Weights,
            ("gradients", _) => Self::Gradients,
            ("slow_weights", _) => Self::SlowWeights,
            ("fisher", _) => Self::Fisher,
            ("curvature", _) => Self::Curvature,
            ("average", _) => Self::Average,
            ("accumulated", _) => Self::Accumulated,
            (_, Some(("state", slot))) => Self::State(slot),
            (_, Some(("slow_state", slot))) => Self::SlowState(slot),
            (_, Some(("outer", slot))) => Self::Outer(slot),
            _ => return None,
        })
    }
}

impl Optimizer {
    /// A tensor's values, as they are when everything submitted before this call is done: the copy is begun by the
    /// call, so that the optimizer is free while the values are under way.
    ///
    /// The future needs nobody to poll the device, and ends under any executor: natively a thread, which all futures
    /// of an optimizer share, polls it while they wait.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`], [`Error::NoLookahead`], [`Error::Ownership`], [`Error::Swapped`],
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub fn download(
        &self,
        field: Field<'_>,
        tensor: &str,
    ) -> impl Future<Output = Result<Vec<f32>, Error>> + use<> {
        let source = self.layout.find(tensor).and_then(|index| self.source(field, index));
        let download =
            source.map(|Source { slices, len, half }| (self.copy_back(slices.into_iter()), len, half));
        async move {
            let (download, len, half) = download?;
            download.values(len, half).await
        }
    }

    /// [`Self::download`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::download`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download_blocking(&self, field: Field<'_>, tensor: &str) -> Result<Vec<f32>, Error> {
        pollster::block_on(self.download(field, tensor))
    }

    /// Where a field of a tensor is to be read now.
    pub(crate) fn source(&self, field: Field<'_>, tensor: usize) -> Result<Source, Error> {
        let group = self.layout.tensors[tensor].group;
        if matches!(field, Field::Weights | Field::SlowWeights | Field::Average) {
            self.check_not_swapped("download")?;
        }
        let source = self.place(field, tensor)?;
        // The next step seeds the slow weights, and the first one begins the average.
        let stand_in = match field {
            Field::SlowWeights => self.groups[group].clock.seed,
            Field::Average => self.steps == 0,
            _ => false,
        };
        let source = if stand_in { self.place(Field::Weights, tensor)? } else { source };
        for slice in &source.slices {
            slice.check_usage("values", &self.layout.tensors[tensor].name, wgpu::BufferUsages::COPY_SRC)?;
        }
        Ok(source)
    }

    /// Where a field of a tensor lies.
    pub(crate) fn place(&self, field: Field<'_>, tensor: usize) -> Result<Source, Error> {
        let (slices, half) = match field {
            Field::Weights => (self.weights_of(tensor), None),
            Field::SlowWeights => (self.slow_weights_of(tensor)?, self.options.slow_half()),
            Field::Gradients => (self.gradients_of(tensor)?, self.options.half_gradients),
            plane => (self.plane_slices(plane, tensor)?, None),
        };
        Ok(Source { slices, len: self.field_len(field, tensor) as usize, half })
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

    /// Where a plane of a tensor lies: one slice for each window.
    pub(crate) fn plane_slices(&self, field: Field<'_>, index: usize) -> Result<Vec<Slice>, Error> {
        if let Some((_, at, len)) = self.moment(field, index) {
            let factors = self.reductions.factors.as_ref();
            return Ok(factors
                .map(|buffer| Slice::new(buffer, at * VALUE, len * VALUE))
                .into_iter()
                .collect());
        }
        let tensor = &self.layout.tensors[index];
        let mut fields = self.planes[tensor.group].fields();
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
        let slices = parts.filter_map(|(window, range)| {
            let start = plane as u64 * self.layout.windows[window].len + range.start;
            let size = (range.end - range.start) * VALUE;
            let planes = self.windows[window].planes.as_ref();
            planes.map(|buffer| Slice::new(buffer, start * VALUE, size))
        });
        Ok(slices.collect())
    }
}
