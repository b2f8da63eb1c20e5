//! Pipelines that several optimizers share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    kernels::Binding,
    plan::program::{Kernel, Known, Program},
};

/// The compute pipelines made so far, for optimizers that are built one after the other or side by side: a sweep over
/// learning rates, the two networks of a GAN, a test suite. An optimizer whose kernels are all here compiles nothing.
///
/// Clones share what they hold. It keeps pipelines, and their devices, until the last clone is dropped.
///
/// ```no_run
/// use lookahead_wgpu::{Lookahead, Optimizer, gpu::{Gpu, Pipelines}, rules::Adam};
///
/// let gpu = Gpu::open_blocking(None)?;
/// let pipelines = Pipelines::default();
/// for learning_rate in [0.001, 0.01, 0.1] {
///     let optimizer = Optimizer::builder(Adam::new(learning_rate))
///         .lookahead(Lookahead::new(5, 0.5))
///         .tensor("w", &[1000])
///         .pipelines(&pipelines)
///         .build_blocking(&gpu.device, &gpu.queue)?;
///     // ... train with it: from the second on, no shader is compiled
/// }
/// # Ok::<(), lookahead_wgpu::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Pipelines(Arc<Mutex<HashMap<Key, wgpu::ComputePipeline>>>);

/// All that a pipeline depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    device: wgpu::Device,
    wgsl: String,
    entry: &'static str,
    workgroup: u32,
    flags: Known,
    layouts: Vec<Option<Vec<(u32, Binding)>>>,
}

impl Key {
    pub fn new(device: &wgpu::Device, program: &Program, kernel: &Kernel) -> Self {
        let layouts = kernel.layouts.iter().map(|id| id.map(|id| program.layouts[id].0.clone()));
        Self {
            device: device.clone(),
            wgsl: kernel.source.wgsl.clone(),
            entry: kernel.source.entry,
            workgroup: program.shape.workgroup,
            flags: kernel.flags,
            layouts: layouts.collect(),
        }
    }
}

impl Pipelines {
    /// How many it holds.
    pub fn len(&self) -> usize {
        self.held().len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.held().is_empty()
    }

    pub(super) fn find(&self, key: &Key) -> Option<wgpu::ComputePipeline> {
        self.held().get(key).cloned()
    }

    pub(super) fn keep(&self, key: Key, pipeline: &wgpu::ComputePipeline) {
        self.held().insert(key, pipeline.clone());
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Key, wgpu::ComputePipeline>> {
        // Nothing that holds the lock leaves the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
