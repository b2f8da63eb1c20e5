//! wgpu's limits as a plan takes them.

use crate::layout::limits::Limits;

impl From<&wgpu::Limits> for Limits {
    fn from(limits: &wgpu::Limits) -> Self {
        macro_rules! take {
            ($($limit:ident)*) => { Self { $($limit: limits.$limit),* } };
        }
        take!(
            max_buffer_size max_storage_buffer_binding_size max_uniform_buffer_binding_size
            max_storage_buffers_per_shader_stage max_uniform_buffers_per_shader_stage
            max_dynamic_uniform_buffers_per_pipeline_layout max_bind_groups max_bindings_per_bind_group
            max_compute_invocations_per_workgroup max_compute_workgroup_size_x max_compute_workgroup_size_y
            max_compute_workgroup_size_z max_compute_workgroups_per_dimension
        )
    }
}
