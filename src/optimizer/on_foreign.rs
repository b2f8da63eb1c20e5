//! Optimizers on a device of another language's.

use super::{builder::Builder, training::Optimizer};
use crate::{
    config::shape::Shape,
    error::Error,
    foreign::{Device, Foreign},
    layout::limits::Limits,
};

impl<D: Device + 'static> Builder<Foreign<D>> {
    /// Makes everything on a device that has made nothing yet. `shape` is the one that suits it, where none was set.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan) with these limits; [`Error::Shader`] and [`Error::Device`] where it refuses a kernel;
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub async fn build_on_device(
        self,
        device: D,
        shape: Shape,
        limits: &Limits,
    ) -> Result<Optimizer<Foreign<D>>, Error> {
        let max_buffer_size = limits.max_buffer_size;
        let make = async |program: &_, (): &_| Foreign::new(device, program, max_buffer_size).await;
        let optimizer = self.build_on(shape, limits, make).await?;
        optimizer.engine.built().await?;
        Ok(optimizer)
    }
}

impl<D: Device + 'static> Optimizer<Foreign<D>> {
    /// The device that it is on.
    pub fn device(&self) -> &D {
        self.engine.device()
    }
}
