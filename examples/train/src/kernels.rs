//! The shaders of `model`, compiled.

use crate::device::{ModelError, checked};
use lookahead_wgpu::{Half, wgpu};
use std::borrow::Cow;

/// The compiled shaders.
#[derive(Clone)]
pub struct Kernels {
    pub(crate) gather: Kernel,
    pub(crate) forward: Kernel,
    pub(crate) loss: Kernel,
    pub(crate) weight_gradient: Kernel,
    pub(crate) input_gradient: Kernel,
    /// Rounds gradients, where weights and gradients are half-width.
    pub(crate) narrow: Option<Kernel>,
}

#[derive(Clone)]
pub(crate) struct Kernel {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// The shaders' texts: gather, forward, loss, weight_gradient and input_gradient, and, for weights and
/// gradients of half width, narrow.
pub fn wgsl(half: Option<Half>) -> Vec<Cow<'static, str>> {
    let values = match half {
        None => include_str!("model/values/f32.wgsl"),
        Some(Half::F16) => include_str!("model/values/f16.wgsl"),
        Some(Half::Bf16) => include_str!("model/values/bf16.wgsl"),
    };
    let product = |rest: &str| Cow::Owned([include_str!("model/product.wgsl"), values, rest].concat());
    let mut all = vec![
        Cow::Borrowed(include_str!("model/gather.wgsl")),
        product(include_str!("model/forward.wgsl")),
        Cow::Borrowed(include_str!("model/loss.wgsl")),
        product(include_str!("model/weight_gradient.wgsl")),
        product(include_str!("model/input_gradient.wgsl")),
    ];
    all.extend(half.map(|_| Cow::Owned([values, include_str!("model/narrow.wgsl")].concat())));
    all
}

/// What a shader's binding is.
#[derive(Clone, Copy)]
enum Binding {
    Uniform,
    Read,
    /// One batch of [`Batches`], at a dynamic offset.
    Batch,
    Write,
}

impl Kernels {
    /// Compiles the shaders for weights and gradients of this width.
    pub async fn new(device: &wgpu::Device, half: Option<Half>) -> Result<Self, ModelError> {
        use Binding::{Batch, Read, Uniform, Write};
        let texts = wgsl(half);
        checked(device, "compiling the shaders", || {
            let kernel =
                |name, index: usize, bindings: &[Binding]| Kernel::new(device, name, &texts[index], bindings);
            let product = [Uniform, Read, Read, Read, Write];
            Self {
                gather: kernel("gather", 0, &[Uniform, Read, Batch, Write]),
                forward: kernel("forward", 1, &product),
                loss: kernel("loss", 2, &[Uniform, Read, Read, Batch, Write, Write, Read]),
                weight_gradient: kernel("weight_gradient", 3, &[Uniform, Read, Read, Write, Write]),
                input_gradient: kernel("input_gradient", 4, &product),
                narrow: half.map(|_| kernel("narrow", 5, &[Uniform, Read, Write])),
            }
        })
        .await
    }
}

impl Kernel {
    fn new(device: &wgpu::Device, name: &str, wgsl: &str, bindings: &[Binding]) -> Self {
        let entries: Vec<_> = (0..)
            .zip(bindings)
            .map(|(binding, kind)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match kind {
                        Binding::Uniform => wgpu::BufferBindingType::Uniform,
                        Binding::Read | Binding::Batch => {
                            wgpu::BufferBindingType::Storage { read_only: true }
                        }
                        Binding::Write => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: matches!(kind, Binding::Batch),
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(name),
            entries: &entries,
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(Cow::Borrowed(wgsl)),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        Self { pipeline, layout }
    }

    pub(crate) fn bind(
        &self,
        device: &wgpu::Device,
        bindings: &[wgpu::BindingResource<'_>],
    ) -> wgpu::BindGroup {
        let entries: Vec<_> = (0..)
            .zip(bindings)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource: resource.clone() })
            .collect();
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.layout,
            entries: &entries,
        })
    }

    pub(crate) fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        bindings: &wgpu::BindGroup,
        offsets: &[u32],
        [x, y]: [u32; 2],
    ) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, bindings, offsets);
        pass.dispatch_workgroups(x, y, 1);
    }
}
