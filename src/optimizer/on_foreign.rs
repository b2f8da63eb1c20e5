//! Optimizers on a device of another language's.

use futures::FutureExt;

use super::{
    builder::Builder,
    training::{Gradients, Optimizer},
};
use crate::{
    config::shape::Shape,
    error::Error,
    foreign::{Device, Foreign, Problem, Slice, shader},
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
        let optimizer = self.build_foreign(device, shape, limits, false).await?;
        optimizer.engine.built().await?;
        Ok(optimizer)
    }

    /// The same without waiting: what the device refuses is known later.
    ///
    /// # Errors
    ///
    /// As [`build_on_device`](Self::build_on_device), as far as it is known at once.
    pub fn build_on_device_at_once(
        self,
        device: D,
        shape: Shape,
        limits: &Limits,
    ) -> Result<Optimizer<Foreign<D>>, Error> {
        at_once(self.build_foreign(device, shape, limits, true))
    }

    async fn build_foreign(
        self,
        device: D,
        shape: Shape,
        limits: &Limits,
        at_once: bool,
    ) -> Result<Optimizer<Foreign<D>>, Error> {
        let size = limits.max_buffer_size;
        let make = async |program: &_, (): &_| Foreign::new(device, program, size, at_once).await;
        self.build_on(shape, limits, make).await
    }
}

impl<D: Device + 'static> Optimizer<Foreign<D>> {
    /// [`borrow_weights`](Self::borrow_weights), at once.
    ///
    /// # Errors
    ///
    /// As [`borrow_weights`](Self::borrow_weights).
    pub fn borrow_weights_at_once(&mut self, slices: &[(&str, Slice)]) -> Result<(), Error> {
        at_once(self.borrow_weights(slices))
    }

    /// [`borrow_gradients`](Self::borrow_gradients), at once.
    ///
    /// # Errors
    ///
    /// As [`borrow_gradients`](Self::borrow_gradients).
    pub fn borrow_gradients_at_once(&self, slices: &[(&str, Slice)]) -> Result<Gradients<Foreign<D>>, Error> {
        at_once(self.borrow_gradients(slices))
    }

    /// What a problem that is known later is: of a kernel, with its rule.
    pub fn explain(&self, problem: Problem, doing: &str) -> Error {
        match problem {
            Problem::Shader { .. } => shader(&self.plan.program, problem),
            problem => problem.during(doing),
        }
    }

    /// The device that it is on.
    pub fn device(&self) -> &D {
        self.engine.device()
    }
}

/// What is begun and done at once, since an engine that is built waits for nothing.
fn at_once<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let waits = || Error::Device { doing: "a call".to_owned(), message: "it would have to wait".to_owned() };
    future.now_or_never().unwrap_or_else(|| Err(waits()))
}
