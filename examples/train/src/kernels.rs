//! The shaders of `model`, compiled.

use crate::device::{ModelError, checked};
use crate::model::product::Layer;
use lookahead_wgpu::{Half, wgpu};
use std::borrow::Cow;

/// The compiled shaders.
#[derive(Clone)]
pub struct Kernels {
    pub(crate) gather: Kernel,
    pub(crate) forward: ByWeights,
    pub(crate) loss: Kernel,
    pub(crate) weight_gradient: Kernel,
    pub(crate) input_gradient: ByWeights,
    /// Rounds gradients, where weights and gradients are half-width.
    pub(crate) narrow: Option<Kernel>,
    /// Threads of a product's workgroup.
    pub(crate) width: u32,
}

/// A product that reads the weights of a layer.
#[derive(Clone)]
pub(crate) struct ByWeights {
    fours: Kernel,
    singles: Kernel,
}

impl ByWeights {
    pub(crate) fn of(&self, layer: &Layer) -> &Kernel {
        if layer.has_fours() { &self.fours } else { &self.singles }
    }
}

#[derive(Clone)]
pub(crate) struct Kernel {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// The shaders' texts: gather, loss, weight_gradient, forward and input_gradient with the weights by fours, both with
/// single ones, and, for weights and gradients of half width, narrow. A product's workgroup has so many threads.
pub fn wgsl(half: Option<Half>, width: u32) -> Vec<Cow<'static, str>> {
    let values = match half {
        None => include_str!("model/values/f32.wgsl"),
        Some(Half::F16) => include_str!("model/values/f16.wgsl"),
        Some(Half::Bf16) => include_str!("model/values/bf16.wgsl"),
    };
    let [fours, singles] =
        [include_str!("model/weights/fours.wgsl"), include_str!("model/weights/singles.wgsl")];
    let forward = include_str!("model/forward.wgsl");
    let input_gradient = include_str!("model/input_gradient.wgsl");
    let product = |parts: &[&str]| {
        let width = format!("const WIDTH = {width}u;\n");
        Cow::Owned([&[&width, include_str!("model/product.wgsl")], parts].concat().concat())
    };
    let mut all = vec![
        Cow::Borrowed(include_str!("model/gather.wgsl")),
        Cow::Borrowed(include_str!("model/loss.wgsl")),
        product(&[include_str!("model/weight_gradient.wgsl")]),
        product(&[values, fours, forward]),
        product(&[values, fours, input_gradient]),
        product(&[values, singles, forward]),
        product(&[values, singles, input_gradient]),
    ];
    all.extend(half.map(|_| Cow::Owned([values, include_str!("model/narrow.wgsl")].concat())));
    all
}

/// Threads of a product's workgroup. A CPU computes eight at once, and shares workgroups out among its cores, of which
/// small layers would leave some idle; a GPU computes 32 at once.
fn width(device: &wgpu::Device) -> u32 {
    if device.adapter_info().device_type == wgpu::DeviceType::Cpu { 8 } else { 32 }
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
        let width = width(device);
        let texts = wgsl(half, width);
        checked(device, "compiling the shaders", || {
            let kernel =
                |name, index: usize, bindings: &[Binding]| Kernel::new(device, name, &texts[index], bindings);
            let product = [Uniform, Read, Read, Read, Write];
            let by_weights = |name, fours, singles| ByWeights {
                fours: kernel(name, fours, &product),
                singles: kernel(name, singles, &product),
            };
            Self {
                gather: kernel("gather", 0, &[Uniform, Read, Batch, Write]),
                forward: by_weights("forward", 3, 5),
                loss: kernel("loss", 1, &[Uniform, Read, Read, Batch, Write, Write, Read]),
                weight_gradient: kernel("weight_gradient", 2, &[Uniform, Read, Read, Write, Write]),
                input_gradient: by_weights("input_gradient", 4, 6),
                narrow: half.map(|_| kernel("narrow", 7, &[Uniform, Read, Write])),
                width,
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
