//! The pipelines of one optimizer, each made once.

use std::collections::HashMap;

use crate::{
    error::Error,
    gpu,
    kernels::{Binding, Source},
};

/// The bind group layouts and pipelines of one optimizer.
pub(crate) struct Kernels {
    device: wgpu::Device,
    /// Threads in a workgroup.
    pub workgroup: u32,
    /// By the module's text and the flags known.
    cache: HashMap<(String, u32), wgpu::ComputePipeline>,
}

/// The pipelines of one step kernel.
pub(crate) struct StepPipelines {
    /// By the flags that almost every step has.
    known: Vec<(u32, wgpu::ComputePipeline)>,
    /// Whatever the flags say: the first step, frozen groups, syncs between steps, a guard's choice.
    any: wgpu::ComputePipeline,
}

impl StepPipelines {
    /// The one for a dispatch with these flags; 0 where only the GPU knows them.
    pub fn with(&self, bits: u32) -> &wgpu::ComputePipeline {
        let known = self.known.iter().find(|(flags, _)| *flags == bits);
        known.map_or(&self.any, |(_, pipeline)| pipeline)
    }
}

impl Kernels {
    pub fn new(device: &wgpu::Device, workgroup: u32) -> Self {
        Self { device: device.clone(), workgroup, cache: HashMap::new() }
    }

    pub fn layout(&self, bindings: &[(u32, Binding)]) -> wgpu::BindGroupLayout {
        let entries: Vec<_> = bindings
            .iter()
            .map(|&(binding, kind)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: binding_type(kind),
                count: None,
            })
            .collect();
        self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("lookahead"),
            entries: &entries,
        })
    }

    /// The pipelines of a step kernel: one for each of these flags, and one for all others.
    pub async fn step_pipelines(
        &mut self,
        rule: &str,
        source: &Source,
        layouts: &[Option<&wgpu::BindGroupLayout>],
        flags: &[u32],
    ) -> Result<StepPipelines, Error> {
        let mut known = Vec::new();
        for &bits in flags {
            known.push((bits, self.specialised(rule, source, layouts, bits).await?));
        }
        Ok(StepPipelines { known, any: self.pipeline(rule, source, layouts).await? })
    }

    /// The pipeline of a kernel, made once.
    ///
    /// # Errors
    ///
    /// [`Error::Shader`] with `rule`'s name where the device refuses the module, [`Error::Device`] where
    /// it refuses the pipeline.
    pub async fn pipeline(
        &mut self,
        rule: &str,
        source: &Source,
        layouts: &[Option<&wgpu::BindGroupLayout>],
    ) -> Result<wgpu::ComputePipeline, Error> {
        self.specialised(rule, source, layouts, 0).await
    }

    /// The pipeline of a kernel whose flags are known, unless they are 0.
    async fn specialised(
        &mut self,
        rule: &str,
        source: &Source,
        layouts: &[Option<&wgpu::BindGroupLayout>],
        flags: u32,
    ) -> Result<wgpu::ComputePipeline, Error> {
        let key = (source.wgsl.clone(), flags);
        if let Some(pipeline) = self.cache.get(&key) {
            return Ok(pipeline.clone());
        }
        let (module, problem) = gpu::scoped(&self.device, || {
            self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(&source.name),
                source: wgpu::ShaderSource::Wgsl(source.wgsl.as_str().into()),
            })
        });
        if let Some(problem) = problem.await {
            let info = module.get_compilation_info().await;
            let line =
                info.messages.iter().find_map(|message| message.location).map_or(0, |at| at.line_number);
            return Err(Error::Shader { rule: rule.to_owned(), line, message: problem.to_string() });
        }
        let constants = [("LA_WORKGROUP", f64::from(self.workgroup)), ("LA_FLAGS", f64::from(flags))];
        let (pipeline, problem) = gpu::scoped(&self.device, || {
            let layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&source.name),
                bind_group_layouts: layouts,
                immediate_size: 0,
            });
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&source.name),
                layout: Some(&layout),
                module: &module,
                entry_point: Some(source.entry),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: if flags == 0 { &constants[..1] } else { &constants },
                    ..Default::default()
                },
                cache: None,
            })
        });
        if let Some(problem) = problem.await {
            return Err(gpu::error(&self.device, &problem, &format!("the pipeline `{}`", source.name)));
        }
        self.cache.insert(key, pipeline.clone());
        Ok(pipeline)
    }
}

/// What wgpu calls a binding of this kind.
fn binding_type(kind: Binding) -> wgpu::BindingType {
    let (ty, has_dynamic_offset) = match kind {
        Binding::Uniform => (wgpu::BufferBindingType::Uniform, false),
        Binding::DynamicUniform => (wgpu::BufferBindingType::Uniform, true),
        Binding::Read => (wgpu::BufferBindingType::Storage { read_only: true }, false),
        Binding::ReadWrite => (wgpu::BufferBindingType::Storage { read_only: false }, false),
    };
    wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None }
}
