//! Optimizers on wgpu.

use super::{builder::Builder, training::Optimizer};
use crate::{
    config::{lookahead::Lookahead, shape::Shape},
    error::Error,
    gpu::{Pipelines, Wgpu},
    layout::limits::Limits,
    rules::{Ranger, Rule},
};

impl Optimizer<Wgpu> {
    /// Begins an optimizer with this rule.
    pub fn builder(rule: impl Rule + 'static) -> Builder<Wgpu> {
        Builder::new(rule)
    }

    /// Begins Ranger, whole: [`RAdam` on centralised gradients](crate::rules::Ranger) with its authors' Lookahead
    /// around it, k = 6 and alpha = 0.5.
    pub fn ranger(learning_rate: f64) -> Builder<Wgpu> {
        Builder::new(Ranger::new(learning_rate)).lookahead(Lookahead::new(6, 0.5))
    }
}

impl Builder<Wgpu> {
    /// With pipelines that other optimizers have made, and leaving its own for others.
    pub fn pipelines(mut self, pipelines: &Pipelines) -> Self {
        self.shared = pipelines.clone();
        self
    }

    /// Makes the buffers and pipelines on a device.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan) with the device's limits; [`Error::Shader`] and [`Error::Device`] where it refuses a
    /// kernel; [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub async fn build(self, device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Optimizer<Wgpu>, Error> {
        let (shape, limits) = (Shape::from(&device.adapter_info()), Limits::from(&device.limits()));
        self.build_on(shape, &limits, async |program, pipelines| {
            Wgpu::new(device, queue, program, pipelines).await
        })
        .await
    }

    /// [`Self::build`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::build`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn build_blocking(
        self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
    ) -> Result<Optimizer<Wgpu>, Error> {
        pollster::block_on(self.build(device, queue))
    }
}
