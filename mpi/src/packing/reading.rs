//! Packed bytes on their way to the host.

use std::sync::mpsc::{Receiver, TryRecvError, channel};

use lookahead_wgpu::wgpu;

use crate::error::Error;

type Mapped = Result<(), wgpu::BufferAsyncError>;

/// Ranges of buffers that are read back, one behind the other.
pub(crate) struct Reading {
    device: wgpu::Device,
    staging: wgpu::Buffer,
    receiver: Receiver<Mapped>,
    /// What was received.
    mapped: Option<Mapped>,
}

/// Bytes of a buffer from an offset on.
pub(crate) struct Part<'a> {
    pub buffer: &'a wgpu::Buffer,
    pub offset: u64,
    pub bytes: u64,
}

impl Reading {
    /// Submits, with the copies at the end.
    pub fn begin(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        mut encoder: wgpu::CommandEncoder,
        parts: &[Part<'_>],
    ) -> Result<Self, Error> {
        let (sender, receiver) = channel();
        let staging = caught(device, "reading packed values back", || {
            let staging = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("packed, to be read"),
                size: parts.iter().map(|part| part.bytes).sum(),
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            });
            let mut end = 0;
            for part in parts.iter().filter(|part| part.bytes > 0) {
                encoder.copy_buffer_to_buffer(part.buffer, part.offset, &staging, end, part.bytes);
                end += part.bytes;
            }
            encoder.map_buffer_on_submit(&staging, wgpu::MapMode::Read, .., move |result| {
                // Nobody listens any more where the wait has failed.
                let _ = sender.send(result);
            });
            queue.submit([encoder.finish()]);
            staging
        })?;
        Ok(Self { device: device.clone(), staging, receiver, mapped: None })
    }

    /// Whether they have come.
    pub fn is_done(&mut self) -> Result<bool, Error> {
        if self.mapped.is_some() {
            return Ok(true);
        }
        self.device.poll(wgpu::PollType::Poll).map_err(|problem| lost(&problem))?;
        match self.receiver.try_recv() {
            Ok(mapped) => self.mapped = Some(mapped),
            Err(TryRecvError::Empty) => {}
            Err(problem) => return Err(lost(&problem)),
        }
        Ok(self.mapped.is_some())
    }

    /// The bytes, waiting for them.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        let mapped = match self.mapped {
            Some(mapped) => mapped,
            None => {
                self.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|problem| lost(&problem))?;
                self.receiver.recv().map_err(|problem| lost(&problem))?
            }
        };
        mapped.map_err(|problem| lost(&problem))?;
        let view = self.staging.get_mapped_range(..).map_err(|problem| lost(&problem))?;
        Ok(view.to_vec())
    }
}

/// What `make` makes, or what the device said against it, on which wgpu would panic.
pub(crate) fn caught<T>(
    device: &wgpu::Device,
    doing: &'static str,
    make: impl FnOnce() -> T,
) -> Result<T, Error> {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let made = make();
    let (validation, memory) = (validation.pop(), memory.pop());
    let (doing, refused) = (doing.to_owned(), |problem: wgpu::Error| problem.to_string());
    match (pollster::block_on(memory), pollster::block_on(validation)) {
        (None, None) => Ok(made),
        (Some(problem), _) => {
            Err(lookahead_wgpu::Error::OutOfMemory { doing, message: refused(problem) }.into())
        }
        (None, Some(problem)) => {
            Err(lookahead_wgpu::Error::Device { doing, message: refused(problem) }.into())
        }
    }
}

fn lost(problem: &dyn std::fmt::Display) -> Error {
    let (doing, message) = ("reading packed values back".to_owned(), problem.to_string());
    lookahead_wgpu::Error::DeviceLost { doing, message }.into()
}
