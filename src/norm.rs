//! Gradient norms: two passes in a fixed order, and the factors that clip by them.
//!
//! [`norm`] is the f64 twin.

use crate::{
    clip::Clip,
    error::Error,
    gpu,
    kernels::{self, Access, Binding, Kernels},
    layout::{Layout, Part, VALUE},
};

/// Values that one workgroup of the first pass sums.
const SPAN: u64 = 16_384;

/// The buffers and pipelines of one optimizer's norms.
pub(crate) struct Norm {
    partial_layout: wgpu::BindGroupLayout,
    partial: Vec<(Access, wgpu::ComputePipeline)>,
    finish: wgpu::ComputePipeline,
    finish_bind_group: wgpu::BindGroup,
    partials: wgpu::Buffer,
    pub scales: wgpu::Buffer,
    pub norms: wgpu::Buffer,
    ranges: u32,
    groups_per_dimension: u32,
    /// Where each window part's partial sums start: by tensor and its first value there.
    starts: std::collections::HashMap<(usize, u64), u32>,
}

/// The first pass over one run.
#[derive(Debug)]
pub(crate) struct Partial {
    bind_group: wgpu::BindGroup,
    workgroups: (u32, u32),
}

impl Norm {
    /// `group` is the bind group layout of group 1 for an access.
    pub async fn new(
        device: &wgpu::Device,
        kernels: &mut Kernels,
        layout: &Layout,
        clip: Clip,
        accesses: &[Access],
        group: &(dyn Fn(Access) -> wgpu::BindGroupLayout + Sync),
    ) -> Result<Self, Error> {
        let partial_layout = kernels.layout(&[(0, Binding::Read), (1, Binding::ReadWrite)]);
        let mut partial = Vec::new();
        for &access in accesses {
            let layouts = [Some(&partial_layout), Some(&group(access))];
            partial.push((access, kernels.pipeline("norm", &kernels::partial(access), &layouts).await?));
        }
        let finish_layout = kernels.layout(&[
            (0, Binding::Read),
            (1, Binding::Read),
            (2, Binding::ReadWrite),
            (3, Binding::ReadWrite),
            (4, Binding::Uniform),
        ]);
        let finish = kernels.pipeline("norm", &kernels::finish(), &[Some(&finish_layout)]).await?;

        // Each tensor's partial sums side by side, in the order of its values.
        let mut parts: Vec<_> = layout.windows.iter().flat_map(|window| layout.pieces_in(window)).collect();
        parts.sort_by_key(|part| (part.tensor, part.value));
        let mut starts = std::collections::HashMap::new();
        let mut ranges = vec![[0u32; 2]; layout.tensors.len()];
        let mut total = 0;
        for part in &parts {
            let spans = part.len.div_ceil(SPAN) as u32;
            starts.insert((part.tensor, part.value), total);
            let range = &mut ranges[part.tensor];
            if range[1] == 0 {
                range[0] = total;
            }
            range[1] += spans;
            total += spans;
        }
        if let Clip::GlobalNorm(_) = clip {
            ranges = vec![[0, total]];
        }

        let (made, problem) = gpu::scoped(device, || {
            let buffer = |label, values: usize, usage| {
                device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size: values as u64 * VALUE,
                    usage: wgpu::BufferUsages::STORAGE | usage,
                    mapped_at_creation: false,
                })
            };
            let partials = buffer("lookahead partial sums", total as usize, wgpu::BufferUsages::COPY_DST);
            let scales = buffer("lookahead clip factors", ranges.len(), wgpu::BufferUsages::empty());
            let norms = buffer("lookahead gradient norms", ranges.len(), wgpu::BufferUsages::COPY_SRC);
            let ranges_buffer = gpu::filled(
                device,
                "lookahead ranges",
                bytemuck::cast_slice(&ranges),
                wgpu::BufferUsages::STORAGE,
            );
            let bound = [clip.bound() as f32, 0.0, 0.0, 0.0].map(f32::to_bits);
            let bound = gpu::filled(device, "lookahead clip bound", &bound, wgpu::BufferUsages::UNIFORM);
            let entries: Vec<_> = [&ranges_buffer, &partials, &scales, &norms, &bound]
                .into_iter()
                .zip(0..)
                .map(|(buffer, binding)| wgpu::BindGroupEntry {
                    binding,
                    resource: buffer.as_entire_binding(),
                })
                .collect();
            let finish_bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("lookahead norms"),
                layout: &finish_layout,
                entries: &entries,
            });
            (partials, scales, norms, finish_bind_group)
        });
        if let Some(problem) = problem.await {
            return Err(gpu::error(device, &problem, "the norm's buffers"));
        }
        let (partials, scales, norms, finish_bind_group) = made;
        Ok(Self {
            partial_layout,
            partial,
            finish,
            finish_bind_group,
            partials,
            scales,
            norms,
            ranges: ranges.len() as u32,
            groups_per_dimension: device.limits().max_compute_workgroups_per_dimension,
            starts,
        })
    }

    /// The first pass over a run of these parts.
    pub fn partial(&self, device: &wgpu::Device, parts: &[Part]) -> Partial {
        let mut spans: Vec<[u32; 3]> = Vec::new();
        for part in parts {
            let start = self.starts.get(&(part.tensor, part.value)).copied().unwrap_or(0);
            for (index, begin) in (0..part.len).step_by(SPAN as usize).enumerate() {
                let values = SPAN.min(part.len - begin) as u32;
                spans.push([((part.at + begin) / 4) as u32, values, start + index as u32]);
            }
        }
        let usage = wgpu::BufferUsages::STORAGE;
        let buffer = gpu::filled(device, "lookahead spans", bytemuck::cast_slice(&spans), usage);
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("lookahead spans"),
            layout: &self.partial_layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: self.partials.as_entire_binding() },
            ],
        });
        Partial { bind_group, workgroups: self.grid(spans.len() as u32) }
    }

    /// Forgets the partial sums, after a group left the norm.
    pub fn clear(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.clear_buffer(&self.partials, 0, None);
    }

    /// Records the first pass over one run.
    pub fn record_partial(&self, pass: &mut wgpu::ComputePass<'_>, run: &crate::access::Run) {
        let pipeline = self.partial.iter().find(|(access, _)| *access == run.access);
        if let (Some((_, pipeline)), Some(partial)) = (pipeline, &run.norm) {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &partial.bind_group, &[]);
            pass.set_bind_group(1, &run.bind_group, &[]);
            pass.dispatch_workgroups(partial.workgroups.0, partial.workgroups.1, 1);
        }
    }

    /// Records the second pass.
    pub fn record_finish(&self, pass: &mut wgpu::ComputePass<'_>) {
        let (x, y) = self.grid(self.ranges);
        pass.set_pipeline(&self.finish);
        pass.set_bind_group(0, &self.finish_bind_group, &[]);
        pass.dispatch_workgroups(x, y, 1);
    }

    /// A grid of at least `count` workgroups.
    fn grid(&self, count: u32) -> (u32, u32) {
        let rows = count.div_ceil(self.groups_per_dimension).max(1);
        (count.div_ceil(rows), rows)
    }
}

/// The f64 twin of both passes: the norm of `values` and the factor that clips it.
pub(crate) fn norm(values: impl Iterator<Item = f64>, max_norm: f64) -> (f64, f64) {
    let norm = values.map(|value| value * value).sum::<f64>().sqrt();
    (norm, (max_norm / (norm + 1e-6)).min(1.0))
}
