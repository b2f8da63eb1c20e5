//! What is wrong is told by an error with the values in it, and never by a panic.
//!
//! All on wgpu's noop backend, which validates calls and computes nothing: no GPU is needed.

mod borrowed;
mod device;
mod limits;
mod rules;
mod setters;
mod settings;
mod snapshot;
mod steps;
mod tensors;
mod transforms;
#[cfg(feature = "validate")]
mod wgsl;

use lookahead_wgpu::{Builder, Error, Lookahead, Optimizer, rules::Sgd, wgpu};

/// A device that computes nothing.
struct Noop {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

impl Noop {
    fn new() -> Self {
        Self::with(wgpu::Limits::defaults())
    }

    fn with(required_limits: wgpu::Limits) -> Self {
        let (device, queue) =
            wgpu::Device::noop(&wgpu::DeviceDescriptor { required_limits, ..Default::default() });
        Self { device, queue }
    }

    fn build(&self, builder: Builder) -> Optimizer {
        builder.build_blocking(&self.device, &self.queue).unwrap()
    }

    /// The error of a builder that must not build.
    fn refuse(&self, builder: Builder) -> Error {
        builder.build_blocking(&self.device, &self.queue).expect_err("this was built")
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&Default::default())
    }

    fn step(&self, optimizer: &mut Optimizer) -> Result<(), Error> {
        let mut encoder = self.encoder();
        let outcome = optimizer.step(&mut encoder);
        self.queue.submit([encoder.finish()]);
        outcome
    }

    fn buffer(&self, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        self.device.create_buffer(&descriptor)
    }
}

/// Checks an error's variant, and that its message holds each of these.
#[track_caller]
fn check(error: Error, variant: &str, parts: &[&str]) {
    let (debug, message) = (format!("{error:?}"), error.to_string());
    let name = debug.split([' ', '(']).next().unwrap();
    assert_eq!(name, variant, "{message}");
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

/// Plain SGD alone.
fn sgd() -> Builder {
    Optimizer::builder(Sgd::new(0.1))
}

/// SGD with Lookahead around it and one tensor of three values.
fn lookahead(k: u32, alpha: f64) -> Builder {
    sgd().lookahead(Lookahead::new(k, alpha)).tensor("w", &[3])
}
