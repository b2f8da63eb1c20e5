//! The calls that may wait, waiting for them.

use burn::{module::Module, optim::GradientsParams, tensor::wgpu::WgpuSetup};
use lookahead_wgpu::{Builder, Snapshot};
use pollster::block_on;

use super::ModuleLookahead;
use crate::error::Error;

/// Not in browsers, whose pages cannot wait.
impl ModuleLookahead {
    /// [`Self::new_async`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::new_async`].
    pub fn new<M: Module>(builder: Builder, module: &M, setup: &WgpuSetup) -> Result<Self, Error> {
        block_on(Self::new_async(builder, module, setup))
    }

    /// [`Self::in_groups_async`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::in_groups_async`].
    pub fn in_groups<M: Module>(
        builder: Builder,
        module: &M,
        setup: &WgpuSetup,
        group_of: impl Fn(&str) -> String,
    ) -> Result<Self, Error> {
        block_on(Self::in_groups_async(builder, module, setup, group_of))
    }

    /// [`Self::step_async`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::step_async`].
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientsParams) -> Result<M, Error> {
        block_on(self.step_async(module, gradients))
    }

    /// [`Self::sync_async`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::sync_async`].
    pub fn sync<M: Module>(&mut self, module: M) -> Result<M, Error> {
        block_on(self.sync_async(module))
    }

    /// [`Self::slow_async`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::slow_async`].
    pub fn slow<M: Module>(&self, module: &M) -> Result<M, Error> {
        block_on(self.slow_async(module))
    }

    /// [`Self::average_async`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::average_async`].
    pub fn average<M: Module>(&self, module: &M) -> Result<M, Error> {
        block_on(self.average_async(module))
    }

    /// [`Self::import_async`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::import_async`].
    pub fn import<M: Module>(&mut self, module: M, snapshot: &Snapshot) -> Result<M, Error> {
        block_on(self.import_async(module, snapshot))
    }
}
