//! The kernels that pack, unpack and mix, and what they bind.

use lookahead_wgpu::wgpu;

use crate::{settings::Settings, wire::Wire};

pub(super) struct Kernels {
    pub look: wgpu::ComputePipeline,
    pub pack: wgpu::ComputePipeline,
    pub unpack: wgpu::ComputePipeline,
    /// None where nothing is mixed.
    pub mix: Option<wgpu::ComputePipeline>,
}

const UNIFORM: wgpu::BufferBindingType = wgpu::BufferBindingType::Uniform;
const READ: wgpu::BufferBindingType = wgpu::BufferBindingType::Storage { read_only: true };
const WRITE: wgpu::BufferBindingType = wgpu::BufferBindingType::Storage { read_only: false };
/// The bindings of the kernels `look` and `pack`.
const PACK: [wgpu::BufferBindingType; 6] = [UNIFORM, READ, READ, WRITE, WRITE, WRITE];
/// Of `unpack`.
const UNPACK: [wgpu::BufferBindingType; 4] = [UNIFORM, WRITE, READ, READ];
/// Of `mix_in`.
const MIX: [wgpu::BufferBindingType; 3] = [UNIFORM, WRITE, READ];

pub(super) struct Layouts {
    pub pack: wgpu::BindGroupLayout,
    pub unpack: wgpu::BindGroupLayout,
    pub mix: Option<wgpu::BindGroupLayout>,
}

impl Layouts {
    pub fn new(device: &wgpu::Device, mixes: bool) -> Self {
        let mix = mixes.then(|| layout(device, &MIX));
        Self { pack: layout(device, &PACK), unpack: layout(device, &UNPACK), mix }
    }
}

impl Kernels {
    pub fn new(device: &wgpu::Device, settings: &Settings, layouts: &Layouts, differs: bool) -> Self {
        let format = match settings.wire {
            Wire::F32 => 0,
            Wire::Bf16 => 1,
            Wire::F16 => 2,
            Wire::Int8 => 3,
        };
        let known = format!("const FORMAT = {format}u;\nconst DIFFERS = {differs};\n");
        let texts = [include_str!("pack.wgsl"), include_str!("unpack.wgsl")];
        let [packing, unpacking] = texts.map(|text| module(device, &known, text));
        let mixing = format!("const MIXING = {:?}f;\n", settings.mixing as f32);
        let mix = layouts.mix.as_ref().map(|layout| {
            pipeline(device, layout, &module(device, &mixing, include_str!("mix.wgsl")), "mix_in")
        });
        Self {
            look: pipeline(device, &layouts.pack, &packing, "look"),
            pack: pipeline(device, &layouts.pack, &packing, "pack"),
            unpack: pipeline(device, &layouts.unpack, &unpacking, "unpack"),
            mix,
        }
    }
}

fn layout(device: &wgpu::Device, bindings: &[wgpu::BufferBindingType]) -> wgpu::BindGroupLayout {
    let entry = |(binding, ty): (u32, &wgpu::BufferBindingType)| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty: *ty, has_dynamic_offset: *ty == UNIFORM, min_binding_size: None },
        count: None,
    };
    let entries: Vec<_> = (0..).zip(bindings).map(entry).collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}

pub(super) fn bind(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    resources: &[wgpu::BindingResource<'_>],
) -> wgpu::BindGroup {
    let entries: Vec<_> = (0..)
        .zip(resources)
        .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource: resource.clone() })
        .collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
}

/// `known`: constants that stand before the text.
fn module(device: &wgpu::Device, known: &str, text: &str) -> wgpu::ShaderModule {
    device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("packing"),
        source: wgpu::ShaderSource::Wgsl(format!("{known}{text}").into()),
    })
}

fn pipeline(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    module: &wgpu::ShaderModule,
    entry_point: &str,
) -> wgpu::ComputePipeline {
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(entry_point),
        layout: Some(&layout),
        module,
        entry_point: Some(entry_point),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    })
}
