//! What a device's limits let a layout and a kernel be.

use super::units::{TENSOR_ALIGN, VALUE, down};
use crate::{config::shape::Shape, error::Error};

/// What a device offers, as far as an optimizer asks for it: the limits of WebGPU under their names. A
/// [`wgpu::Limits`](crate::wgpu::Limits) turns into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // WebGPU's own names
#[non_exhaustive]
pub struct Limits {
    pub max_buffer_size: u64,
    pub max_storage_buffer_binding_size: u64,
    pub max_uniform_buffer_binding_size: u64,
    pub max_storage_buffers_per_shader_stage: u32,
    pub max_uniform_buffers_per_shader_stage: u32,
    pub max_dynamic_uniform_buffers_per_pipeline_layout: u32,
    pub max_bind_groups: u32,
    pub max_bindings_per_bind_group: u32,
    pub max_compute_invocations_per_workgroup: u32,
    pub max_compute_workgroup_size_x: u32,
    pub max_compute_workgroup_size_y: u32,
    pub max_compute_workgroup_size_z: u32,
    pub max_compute_workgroups_per_dimension: u32,
}

impl Default for Limits {
    /// What every WebGPU device offers.
    fn default() -> Self {
        Self {
            max_buffer_size: 256 << 20,
            max_storage_buffer_binding_size: 128 << 20,
            max_uniform_buffer_binding_size: 64 << 10,
            max_storage_buffers_per_shader_stage: 8,
            max_uniform_buffers_per_shader_stage: 12,
            max_dynamic_uniform_buffers_per_pipeline_layout: 8,
            max_bind_groups: 4,
            max_bindings_per_bind_group: 1000,
            max_compute_invocations_per_workgroup: 256,
            max_compute_workgroup_size_x: 256,
            max_compute_workgroup_size_y: 256,
            max_compute_workgroup_size_z: 64,
            max_compute_workgroups_per_dimension: 65535,
        }
    }
}

impl Limits {
    /// Raises the limit of this name, as an [`Error::Limit`] gives it, to at least this much; false where it is not one of
    /// those that devices offer more of, or is as high already.
    pub fn raise(&mut self, name: &str, needed: u64) -> bool {
        let before = *self;
        match name {
            "max_buffer_size" => self.max_buffer_size = self.max_buffer_size.max(needed),
            "max_storage_buffer_binding_size" => {
                self.max_storage_buffer_binding_size = self.max_storage_buffer_binding_size.max(needed);
            }
            "max_storage_buffers_per_shader_stage" => {
                let needed = u32::try_from(needed).unwrap_or(u32::MAX);
                self.max_storage_buffers_per_shader_stage =
                    self.max_storage_buffers_per_shader_stage.max(needed);
            }
            _ => {}
        }
        *self != before
    }

    /// What `limit` gives for each name, which is the field's.
    pub fn by_name(limit: impl Fn(&'static str) -> u64) -> Self {
        macro_rules! take {
            ($($name:ident: $kind:ty),*) => { Self { $($name: limit(stringify!($name)) as $kind),* } };
        }
        take!(
            max_buffer_size: u64, max_storage_buffer_binding_size: u64, max_uniform_buffer_binding_size: u64,
            max_storage_buffers_per_shader_stage: u32, max_uniform_buffers_per_shader_stage: u32,
            max_dynamic_uniform_buffers_per_pipeline_layout: u32, max_bind_groups: u32,
            max_bindings_per_bind_group: u32, max_compute_invocations_per_workgroup: u32,
            max_compute_workgroup_size_x: u32, max_compute_workgroup_size_y: u32,
            max_compute_workgroup_size_z: u32, max_compute_workgroups_per_dimension: u32
        )
    }

    /// Bytes of the largest buffer that can be bound whole.
    pub(crate) fn binding(&self) -> u64 {
        self.max_storage_buffer_binding_size.min(self.max_buffer_size)
    }

    /// Refuses a buffer to be bound whole that is larger than that.
    pub(crate) fn check_binding(&self, needed: u64, purpose: impl FnOnce() -> String) -> Result<(), Error> {
        let offered = self.binding();
        if needed <= offered {
            return Ok(());
        }
        Err(Error::Limit { limit: "max_storage_buffer_binding_size", needed, offered, purpose: purpose() })
    }
}

/// What a device lets one buffer, binding and dispatch be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Values in one buffer that can be bound whole.
    pub chunk: u64,
    /// Values in one dispatch.
    pub dispatch: u64,
    /// How kernels are cut, within the limits.
    pub shape: Shape,
}

impl Bounds {
    /// For windows of up to this many planes, and kernels cut as far as can be like this.
    pub fn new(limits: &Limits, planes: usize, shape: Shape) -> Result<Self, Error> {
        let bytes = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        let invocations =
            limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        let workgroup = match invocations {
            0 => 0,
            some => 1 << some.min(shape.workgroup).ilog2(),
        };
        let shape = shape.within(workgroup);
        let groups = u64::from(limits.max_compute_workgroups_per_dimension);
        let threads = groups * u64::from(workgroup);
        let bounds =
            Self { chunk: down(bytes / VALUE), dispatch: down(threads * u64::from(shape.vec4s) * 4), shape };
        let enough = |limit, needed, offered, purpose: &str| {
            if offered >= needed {
                return Ok(());
            }
            Err(Error::Limit { limit, needed, offered, purpose: purpose.to_owned() })
        };
        // Every plane of a one-block window, and room for a borrowed tensor's slack.
        let least = planes.max(4) as u64 * TENSOR_ALIGN * VALUE;
        enough("max_buffer_size", least, limits.max_buffer_size, "the smallest layout")?;
        let binding = limits.max_storage_buffer_binding_size;
        enough("max_storage_buffer_binding_size", least, binding, "the smallest layout")?;
        enough("max_compute_workgroups_per_dimension", TENSOR_ALIGN / 4, groups, "a dispatch of one block")?;
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
