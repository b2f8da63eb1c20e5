//! What the device's limits let a layout and a kernel be.

use crate::{
    clip::Clip,
    error::Error,
    group::GroupState,
    kernels,
    layout::{BLOCK, VALUE, down},
    rules::MAX_SLOTS,
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
    pub fn new(limits: &wgpu::Limits) -> Result<Self, Error> {
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
        // Every slot of a one-block window.
        let least = MAX_SLOTS as u64 * BLOCK * VALUE;
        enough("max_buffer_size", least, limits.max_buffer_size, "the smallest layout")?;
        let binding = limits.max_storage_buffer_binding_size;
        enough("max_storage_buffer_binding_size", least, binding, "the smallest layout")?;
        enough("max_compute_workgroups_per_dimension", BLOCK, groups, "a dispatch of one block")?;
        for (limit, needed, offered) in [
            ("max_compute_invocations_per_workgroup", 1, limits.max_compute_invocations_per_workgroup),
            ("max_compute_workgroup_size_x", 1, limits.max_compute_workgroup_size_x),
            ("max_compute_workgroup_size_y", 1, limits.max_compute_workgroup_size_y),
            ("max_compute_workgroup_size_z", 1, limits.max_compute_workgroup_size_z),
            ("max_bind_groups", 3, limits.max_bind_groups),
            ("max_bindings_per_bind_group", 5, limits.max_bindings_per_bind_group),
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
        enough("max_uniform_buffer_binding_size", BLOCK * VALUE, uniform, "what each step is told")?;
        Ok(bounds)
    }
}

/// Refuses a group whose kernels bind more storage buffers than the device offers.
pub(crate) fn check_bindings(
    limits: &wgpu::Limits,
    group: &GroupState,
    slots: usize,
    table: bool,
    clip: Clip,
) -> Result<(), Error> {
    // Weights and gradients, the table, and what is the kernel's own: spans and partial sums in a norm's.
    let access = 2 + u64::from(table);
    let step = access + kernels::own_bindings(slots, group.lookahead.as_ref(), clip).len() as u64;
    let needed = if clip.is_norm() { step.max(access + 2) } else { step };
    let offered = u64::from(limits.max_storage_buffers_per_shader_stage);
    if needed <= offered {
        return Ok(());
    }
    let purpose = format!("the step of `{}` with {:?} and {clip:?}", group.rule.name(), group.lookahead);
    Err(Error::Limit { limit: "max_storage_buffers_per_shader_stage", needed, offered, purpose })
}
