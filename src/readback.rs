//! Reading values back to the host. The only part of the crate that submits.

use futures::channel::oneshot;

use crate::{
    access::Slice,
    error::{Error, list},
    gpu,
    layout::VALUE,
    optimizer::Optimizer,
    precision::{Half, decode},
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
    /// A tensor's values, once everything submitted so far is done. On native targets something must poll
    /// the device meanwhile; [`download_blocking`](Self::download_blocking) does.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`], [`Error::NoLookahead`], [`Error::Ownership`], [`Error::Swapped`],
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub async fn download(&self, field: Field<'_>, tensor: &str) -> Result<Vec<f32>, Error> {
        self.start_download(field, tensor)?.values().await
    }

    /// [`Self::download`], polling the device and waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::download`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download_blocking(&self, field: Field<'_>, tensor: &str) -> Result<Vec<f32>, Error> {
        let download = self.start_download(field, tensor)?;
        self.wait()?;
        pollster::block_on(download.values())
    }

    /// Waits for everything submitted.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn wait(&self) -> Result<(), Error> {
        self.device.poll(wgpu::PollType::wait_indefinitely()).map(|_| ()).map_err(|problem| lost(&problem))
    }

    pub(crate) fn start_download(&self, field: Field<'_>, tensor: &str) -> Result<Download, Error> {
        let (slices, half) = self.origin(field, tensor)?;
        let index = self.layout.find(tensor)?;
        let len = self.field_len(field, index) as usize;
        self.copy_back(slices, len, half)
    }

    /// Copies slices of buffers, which hold `len` values one after the other, to where they can be read.
    pub(crate) fn copy_back(
        &self,
        slices: Vec<Slice>,
        len: usize,
        half: Option<Half>,
    ) -> Result<Download, Error> {
        let (stagings, problem) = gpu::scoped(&self.device, || {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let stagings: Vec<_> = slices
                .iter()
                .map(|slice| {
                    let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
                        label: Some("lookahead readback"),
                        size: slice.size,
                        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                        mapped_at_creation: false,
                    });
                    encoder.copy_buffer_to_buffer(&slice.buffer, slice.offset, &staging, 0, slice.size);
                    let (sender, receiver) = oneshot::channel();
                    encoder.map_buffer_on_submit(&staging, wgpu::MapMode::Read, .., move |result| {
                        // The receiver may have lost interest.
                        let _ = sender.send(result);
                    });
                    (staging, receiver)
                })
                .collect();
            self.queue.submit([encoder.finish()]);
            stagings
        });
        Ok(Download { device: self.device.clone(), stagings, problem, len, half })
    }

    /// Where a field of a tensor is now, and its format.
    fn origin(&self, field: Field<'_>, name: &str) -> Result<(Vec<Slice>, Option<Half>), Error> {
        let group = &self.groups[self.layout.tensor(name)?.group];
        if matches!(field, Field::Weights | Field::SlowWeights | Field::Average) {
            self.check_not_swapped("download")?;
        }
        let (slices, half) = match field {
            Field::Gradients => (self.gradients_slices(name)?, self.options.half_gradients),
            Field::SlowWeights => {
                let slow = self.slow_weights_slices(name)?;
                // The next step seeds them.
                let (weights, half) = (self.weights_slices(name)?, self.options.slow_half());
                if group.clock.seed { (weights, None) } else { (slow, half) }
            }
            Field::Weights => (self.weights_slices(name)?, None),
            // The first step begins it.
            Field::Average if self.steps == 0 && self.options.average.is_some() => {
                (self.weights_slices(name)?, None)
            }
            plane => (self.plane_slices(plane, name)?, None),
        };
        for slice in &slices {
            slice.check_usage("values", name, wgpu::BufferUsages::COPY_SRC)?;
        }
        Ok((slices, half))
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
    pub(crate) fn plane_slices(&self, field: Field<'_>, name: &str) -> Result<Vec<Slice>, Error> {
        let index = self.layout.find(name)?;
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

type Mapped = oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>;

/// Values under way.
pub(crate) struct Download {
    device: wgpu::Device,
    stagings: Vec<(wgpu::Buffer, Mapped)>,
    problem: gpu::Problem,
    len: usize,
    half: Option<Half>,
}

impl Download {
    /// The bytes.
    pub async fn bytes(self) -> Result<Vec<u8>, Error> {
        if let Some(problem) = self.problem.await {
            return Err(gpu::error(&self.device, &problem, "the readback"));
        }
        let mut bytes = Vec::new();
        for (staging, mapped) in self.stagings {
            mapped
                .await
                .map_err(|_| lost(&"the device dropped the request"))?
                .map_err(|problem| lost(&problem))?;
            let view = staging.get_mapped_range(..).map_err(|problem| lost(&problem))?;
            bytes.extend_from_slice(&view);
            drop(view);
            // A browser frees a buffer that is no longer used when it collects garbage, which may be late.
            staging.destroy();
        }
        Ok(bytes)
    }

    /// The values.
    pub async fn values(self) -> Result<Vec<f32>, Error> {
        let (len, half) = (self.len, self.half);
        Ok(decode(&self.bytes().await?, len, half))
    }
}

fn lost(problem: &dyn std::fmt::Display) -> Error {
    Error::DeviceLost { doing: "reading values back".to_owned(), message: problem.to_string() }
}
