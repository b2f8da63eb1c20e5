//! Pipelines: made side by side, and shared by several optimizers.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{faults::refuse, scope::scoped, side_by_side::side_by_side};
use crate::{
    error::Error,
    kernels::{Binding, Source},
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
pub struct Pipelines {
    held: Arc<Mutex<HashMap<Key, wgpu::ComputePipeline>>>,
    cache: Option<wgpu::PipelineCache>,
}

/// All that a pipeline depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    device: wgpu::Device,
    wgsl: String,
    entry: &'static str,
    workgroup: u32,
    flags: Known,
    layouts: Vec<Option<Vec<(u32, Binding)>>>,
}

/// What pipelines are made of.
#[derive(Clone, Copy)]
pub(super) struct Make<'a> {
    pub device: &'a wgpu::Device,
    pub layouts: &'a [wgpu::BindGroupLayout],
    pub program: &'a Program,
}

impl Key {
    fn new(make: Make<'_>, kernel: &Kernel) -> Self {
        let layouts = kernel.layouts.iter().map(|id| id.map(|id| make.program.layouts[id].0.clone()));
        Self {
            device: make.device.clone(),
            wgsl: kernel.source.wgsl.clone(),
            entry: kernel.source.entry,
            workgroup: make.program.shape.workgroup,
            flags: kernel.flags,
            layouts: layouts.collect(),
        }
    }
}

impl Pipelines {
    /// None yet; those to come are made with a cache of the driver's, which a program saves to a file and loads the next
    /// time. Making one is `unsafe` in wgpu, since drivers trust what they are given:
    ///
    /// ```no_run
    /// use lookahead_wgpu::gpu::Pipelines;
    ///
    /// # fn open(device: &wgpu::Device, adapter: &wgpu::Adapter) -> std::io::Result<()> {
    /// // The device was requested with `wgpu::Features::PIPELINE_CACHE`, which Vulkan has.
    /// let Some(file) = wgpu::util::pipeline_cache_key(&adapter.get_info()) else { return Ok(()) };
    /// // SAFETY: nobody but this program writes the file.
    /// let cache = unsafe {
    ///     device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
    ///         label: None,
    ///         data: std::fs::read(&file).ok().as_deref(),
    ///         fallback: true, // of another driver, or damaged: begun anew
    ///     })
    /// };
    /// let pipelines = Pipelines::with_cache(cache.clone());
    /// // ... build optimizers with them, then:
    /// if let Some(data) = cache.get_data() {
    ///     std::fs::write(&file, data)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A cache is of one device. Many drivers keep one by themselves.
    pub fn with_cache(cache: wgpu::PipelineCache) -> Self {
        Self { cache: Some(cache), ..Self::default() }
    }

    /// How many it holds.
    pub fn len(&self) -> usize {
        self.held().len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.held().is_empty()
    }

    /// The pipelines of these kernels: those that are here, and new ones, which are kept.
    ///
    /// # Errors
    ///
    /// [`Error::Shader`] with the rule's name where the device refuses a module, [`Error::Device`] where it refuses a
    /// pipeline, [`Error::OutOfMemory`], [`Error::DeviceLost`]. Nothing is kept then.
    pub(super) async fn make(
        &self,
        make: Make<'_>,
        kernels: &[&Kernel],
    ) -> Result<Vec<wgpu::ComputePipeline>, Error> {
        let keys: Vec<_> = kernels.iter().map(|kernel| Key::new(make, kernel)).collect();
        let new: Vec<_> = {
            let (held, mut seen) = (self.held(), HashSet::new());
            (0..kernels.len()).filter(|&at| !held.contains_key(&keys[at]) && seen.insert(&keys[at])).collect()
        };
        let mut texts: Vec<_> = new.iter().map(|&at| kernels[at]).collect();
        texts.sort_unstable_by_key(|kernel| &kernel.source.wgsl);
        texts.dedup_by_key(|kernel| &kernel.source.wgsl);
        let modules = side_by_side(make.device, &texts, |kernel| module(make.device, kernel)).await?;
        let modules: HashMap<_, _> = texts.iter().map(|kernel| &kernel.source.wgsl).zip(&modules).collect();
        let made = side_by_side(make.device, &new, |&at| {
            pipeline(make, kernels[at], modules[&kernels[at].source.wgsl], self.cache.as_ref())
        });
        let made = made.await?;
        let mut held = self.held();
        held.extend(new.into_iter().map(|at| keys[at].clone()).zip(made));
        Ok(keys.iter().filter_map(|key| held.get(key).cloned()).collect())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Key, wgpu::ComputePipeline>> {
        // Nothing that holds the lock leaves the map half changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// # Errors
///
/// [`Error::Shader`] with the rule's name where the device refuses it.
async fn module(device: &wgpu::Device, kernel: &Kernel) -> Result<wgpu::ShaderModule, Error> {
    let Source { name, wgsl, .. } = &kernel.source;
    let (module, problem) = scoped(device, || {
        device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(wgsl.as_str().into()),
        })
    });
    let Some(problem) = problem.await else { return Ok(module) };
    let info = module.get_compilation_info().await;
    let line = info.messages.iter().find_map(|message| message.location).map_or(0, |at| at.line_number);
    Err(Error::Shader { rule: kernel.rule.clone(), line, message: problem.to_string() })
}

/// # Errors
///
/// [`Error::Device`] where the device refuses it.
async fn pipeline(
    Make { device, layouts, program }: Make<'_>,
    kernel: &Kernel,
    module: &wgpu::ShaderModule,
    cache: Option<&wgpu::PipelineCache>,
) -> Result<wgpu::ComputePipeline, Error> {
    let Source { name, entry, .. } = &kernel.source;
    let layouts: Vec<_> = kernel.layouts.iter().map(|id| id.map(|id| &layouts[id.index()])).collect();
    let constants = kernel.constants(program.shape).into_iter();
    let constants: Vec<_> = constants.map(|(name, value)| (name, f64::from(value))).collect();
    let (pipeline, problem) = scoped(device, || {
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &layouts,
            immediate_size: 0,
        });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&layout),
            module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                ..Default::default()
            },
            cache,
        })
    });
    refuse(device, problem, &format!("the pipeline `{name}`")).await?;
    Ok(pipeline)
}
