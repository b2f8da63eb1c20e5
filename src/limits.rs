//! What the device's limits let a layout and a kernel be.

use crate::{
    error::Error,
    kernels::Recipe,
    layout::{BLOCK, VALUE, down},
};

/// What a device lets one buffer, binding and dispatch be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Values in one buffer that can be bound whole.
    pub chunk: u64,
    /// Values in one dispatch.
    pub dispatch: u64,
    /// Threads in a workgroup.
    pub workgroup: u32,
}

impl Bounds {
    /// For windows of up to this many planes.
    pub fn new(limits: &wgpu::Limits, planes: usize) -> Result<Self, Error> {
        let bytes = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        let invocations =
            limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        let workgroup = match invocations {
            0 => 0,
            some => 1 << some.min(256).ilog2(),
        };
        let groups = u64::from(limits.max_compute_workgroups_per_dimension);
        let bounds =
            Self { chunk: down(bytes / VALUE), dispatch: down(groups * u64::from(workgroup) * 4), workgroup };
        let enough = |limit, needed, offered, purpose: &str| {
            if offered >= needed {
                return Ok(());
            }
            Err(Error::Limit { limit, needed, offered, purpose: purpose.to_owned() })
        };
        // Every plane of a one-block window, and room for a borrowed tensor's slack.
        let least = planes.max(4) as u64 * BLOCK * VALUE;
        enough("max_buffer_size", least, limits.max_buffer_size, "the smallest layout")?;
        let binding = limits.max_storage_buffer_binding_size;
        enough("max_storage_buffer_binding_size", least, binding, "the smallest layout")?;
        enough("max_compute_workgroups_per_dimension", BLOCK / 4, groups, "a dispatch of one block")?;
        for (limit, needed, offered) in [
            ("max_compute_invocations_per_workgroup", 1, limits.max_compute_invocations_per_workgroup),
            ("max_compute_workgroup_size_x", 1, limits.max_compute_workgroup_size_x),
            ("max_compute_workgroup_size_y", 1, limits.max_compute_workgroup_size_y),
            ("max_compute_workgroup_size_z", 1, limits.max_compute_workgroup_size_z),
            ("max_bind_groups", 4, limits.max_bind_groups),
            ("max_bindings_per_bind_group", 6, limits.max_bindings_per_bind_group),
            ("max_uniform_buffers_per_shader_stage", 3, limits.max_uniform_buffers_per_shader_stage),
            (
                "max_dynamic_uniform_buffers_per_pipeline_layout",
                2,
                limits.max_dynamic_uniform_buffers_per_pipeline_layout,
            ),
        ] {
            enough(limit, needed, u64::from(offered), "the compute kernels")?;
        }
        let uniform = limits.max_uniform_buffer_binding_size;
        enough("max_uniform_buffer_binding_size", 256, uniform, "what each step is told")?;
        Ok(bounds)
    }
}

/// Refuses a group whose kernels bind more storage buffers than the device offers.
pub(crate) fn check_bindings(limits: &wgpu::Limits, recipe: &Recipe<'_>, table: bool) -> Result<(), Error> {
    // Weights and gradients, the table, and what is the kernel's own; a reduction's first pass has its spans and
    // partial sums, too.
    let both = 2 + u64::from(table) + recipe.own_bindings().len() as u64;
    let step = both + u64::from(recipe.options.half_weights.is_some());
    let needed = if recipe.measures().is_empty() { step } else { both + 2 };
    let offered = u64::from(limits.max_storage_buffers_per_shader_stage);
    if needed <= offered {
        return Ok(());
    }
    let purpose = format!("the step of `{}` with {:?}", recipe.rule.name(), recipe.options);
    Err(Error::Limit { limit: "max_storage_buffers_per_shader_stage", needed, offered, purpose })
}
