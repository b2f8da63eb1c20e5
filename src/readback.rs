//! Reading values back to the host. The only part of the crate that submits.

use futures::channel::oneshot;

use crate::{
    access::Slice,
    error::{Error, list},
    gpu,
    layout::VALUE,
    optimizer::Optimizer,
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
}

/// Where a field's values are.
enum Origin {
    Slices(Vec<Slice>),
    /// Nowhere yet: the next step starts from this value.
    Initial {
        value: f32,
        len: usize,
    },
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
        let slices = match self.origin(field, tensor)? {
            Origin::Initial { value, len } => return Ok(Download::Done(vec![value; len])),
            Origin::Slices(slices) => slices,
        };
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
        Ok(Download::Pending { device: self.device.clone(), stagings, problem })
    }

    /// Where a field of a tensor is now.
    fn origin(&self, field: Field<'_>, name: &str) -> Result<Origin, Error> {
        let tensor = self.layout.tensor(name)?;
        let group = &self.groups[tensor.group];
        if matches!(field, Field::Weights | Field::SlowWeights) {
            self.check_not_swapped("download")?;
        }
        let slices = match field {
            Field::Gradients => self.gradients_slices(name)?,
            Field::SlowWeights => {
                let slow = self.slow_weights_slices(name)?;
                // The next step seeds them.
                if group.clock.seed { self.weights_slices(name)? } else { slow }
            }
            Field::Weights => self.weights_slices(name)?,
            Field::State(slot) => {
                let (index, value) = self.slot(name, slot)?;
                if group.clock.init {
                    return Ok(Origin::Initial { value, len: tensor.len as usize });
                }
                self.state_slices(name, index, |window| window.state.as_ref())?
            }
            Field::SlowState(slot) => {
                let (index, value) = self.slot(name, slot)?;
                let slices = self.state_slices(name, index, |window| window.slow_state.as_ref())?;
                if slices.is_empty() {
                    return Err(Error::UnknownName {
                        what: "slow copy of the slot",
                        name: slot.to_owned(),
                        known: "none: the policy is not to interpolate".to_owned(),
                    });
                }
                if group.clock.first_cycle {
                    return Ok(Origin::Initial { value, len: tensor.len as usize });
                }
                slices
            }
        };
        for slice in &slices {
            slice.check_usage("values", name, wgpu::BufferUsages::COPY_SRC)?;
        }
        Ok(Origin::Slices(slices))
    }

    /// A slot's index and initial value.
    fn slot(&self, tensor: &str, name: &str) -> Result<(usize, f32), Error> {
        let slots = self.groups[self.layout.tensor(tensor)?.group].rule.slots();
        let found =
            slots.iter().position(|slot| slot.name == name).map(|index| (index, slots[index].initial));
        found.ok_or_else(|| Error::UnknownName {
            what: "slot",
            name: name.to_owned(),
            known: list(slots.iter().map(|slot| slot.name)),
        })
    }

    /// Where a slot of a tensor lies: one slice for each window.
    pub(crate) fn state_slices<'a>(
        &'a self,
        tensor: &str,
        slot: usize,
        buffer: impl Fn(&'a crate::optimizer::WindowBuffers) -> Option<&'a wgpu::Buffer>,
    ) -> Result<Vec<Slice>, Error> {
        let tensor = self.layout.tensor(tensor)?;
        let parts = tensor.pieces.iter().flat_map(|piece| self.layout.windows_of(piece));
        let slices = parts.filter_map(|(window, range)| {
            let start = slot as u64 * self.layout.windows[window].len + range.start;
            let size = (range.end - range.start) * VALUE;
            buffer(&self.windows[window]).map(|buffer| Slice::new(buffer, start * VALUE, size))
        });
        Ok(slices.collect())
    }
}

type Mapped = oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>;

/// Values under way.
pub(crate) enum Download {
    Done(Vec<f32>),
    Pending { device: wgpu::Device, stagings: Vec<(wgpu::Buffer, Mapped)>, problem: gpu::Problem },
}

impl Download {
    pub async fn values(self) -> Result<Vec<f32>, Error> {
        let (device, stagings, problem) = match self {
            Self::Done(values) => return Ok(values),
            Self::Pending { device, stagings, problem } => (device, stagings, problem),
        };
        if let Some(problem) = problem.await {
            return Err(gpu::error(&device, &problem, "the readback"));
        }
        let mut values = Vec::new();
        for (staging, mapped) in stagings {
            mapped
                .await
                .map_err(|_| lost(&"the device dropped the request"))?
                .map_err(|problem| lost(&problem))?;
            let view = staging.get_mapped_range(..).map_err(|problem| lost(&problem))?;
            values.extend_from_slice(bytemuck::cast_slice(&view));
        }
        Ok(values)
    }
}

fn lost(problem: &dyn std::fmt::Display) -> Error {
    Error::DeviceLost { doing: "reading values back".to_owned(), message: problem.to_string() }
}
