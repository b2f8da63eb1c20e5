//! The floor: a kernel written by hand that reads and writes as many values as a step must, and does nothing else.

use lookahead_wgpu::{gpu::Gpu, wgpu};

use crate::{
    Failure,
    measure::Work,
    workload::{K, VALUE, buffer, land, noise},
};

/// Values read and written for each parameter.
#[derive(Clone, Copy)]
pub struct Streams {
    pub reads: u32,
    pub writes: u32,
}

impl Streams {
    /// A copy.
    pub const COPY: Self = Self { reads: 1, writes: 1 };

    /// The whole streams of so many bytes for each parameter, of which so many are written.
    pub fn of(bytes: f64, writes: u32) -> Self {
        let all = (bytes / VALUE as f64).round() as u32;
        Self { reads: all.saturating_sub(writes).max(1), writes }
    }

    pub fn bytes(self, parameters: usize) -> f64 {
        f64::from(self.reads + self.writes) * (parameters * VALUE) as f64
    }

    /// One more than is written: what is read and written again as it is could be left out.
    fn planes(self) -> u32 {
        self.reads.max(self.writes + 1)
    }

    /// A vec4 a thread: the first planes are read, and their mean is written over the last.
    fn wgsl(self, planes: u32) -> String {
        let list = |count, text: &dyn Fn(u32) -> String| (0..count).map(text).collect::<Vec<_>>();
        let sum = list(self.reads, &|plane| format!("planes[{plane}u * stride + i]")).join(" + ");
        let store = |number: u32| format!("        planes[{}u * stride + i] = mean;\n", planes - 1 - number);
        let stores = list(self.writes, &store).concat();
        format!(
            "@group(0) @binding(0) var<storage, read_write> planes: array<vec4f>;\n\n\
             @compute @workgroup_size({WORKGROUP})\n\
             fn floor(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {{\n    \
                 let i = id.x + id.y * groups.x * {WORKGROUP}u;\n    \
                 let stride = arrayLength(&planes) / {planes}u;\n    \
                 if i < stride {{\n        \
                     let mean = ({sum}) * {:?};\n{stores}    \
                 }}\n\
             }}\n",
            1.0 / self.reads as f32
        )
    }
}

const WORKGROUP: u32 = 256;

/// The floor of a cycle.
pub struct Floor {
    /// Moved by a step, averaged over a cycle.
    pub bytes: f64,
    /// Records a cycle.
    pub work: Work,
}

/// Of a cycle of which all steps but the last move `step`, and the last one `last`: of so many parameters, or as many as
/// can be bound.
pub fn cycle(gpu: &Gpu, parameters: usize, step: Streams, last: Streams) -> Result<Floor, Failure> {
    let planes = step.planes().max(last.planes());
    let binding = gpu.device.limits().max_storage_buffer_binding_size as usize;
    let vec4s = parameters.div_ceil(4).min(binding / (4 * VALUE * planes as usize));
    let values = vec4s * 4 * planes as usize;
    let memory = buffer(gpu, (values * VALUE) as u64);
    // One plane's values in all of them: random enough, and soon there.
    let plane = noise(vec4s * 4, 0);
    for number in 0..planes as usize {
        let offset = (number * plane.len() * VALUE) as u64;
        gpu.queue.write_buffer(&memory, offset, bytemuck::cast_slice(&plane));
    }
    land(gpu)?;
    let kernels = [kernel(gpu, step, planes, &memory), kernel(gpu, last, planes, &memory)];
    let workgroups = (vec4s as u32).div_ceil(WORKGROUP);
    let rows = workgroups.div_ceil(gpu.device.limits().max_compute_workgroups_per_dimension).max(1);
    let bytes = (step.bytes(4 * vec4s) * f64::from(K - 1) + last.bytes(4 * vec4s)) / f64::from(K);
    let work: Work = Box::new(move |encoder| {
        for number in 1..=K {
            let (pipeline, bind_group) = &kernels[usize::from(number == K)];
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, bind_group, &[]);
            pass.dispatch_workgroups(workgroups.div_ceil(rows), rows, 1);
        }
        Ok(())
    });
    Ok(Floor { bytes, work })
}

fn kernel(
    gpu: &Gpu,
    streams: Streams,
    planes: u32,
    memory: &wgpu::Buffer,
) -> (wgpu::ComputePipeline, wgpu::BindGroup) {
    let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("floor"),
        source: wgpu::ShaderSource::Wgsl(streams.wgsl(planes).into()),
    });
    let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("floor"),
        layout: None,
        module: &module,
        entry_point: Some("floor"),
        compilation_options: Default::default(),
        cache: None,
    });
    let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("floor"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: memory.as_entire_binding() }],
    });
    (pipeline, bind_group)
}
