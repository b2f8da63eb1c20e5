//! Adapters of this machine.

use super::device::{Gpu, label};
use crate::error::{Error, list};

impl Gpu {
    /// Opens the adapter whose name, driver or backend contains `name` (in any case; of several the first that gives a
    /// device), or the one that wgpu ranks highest. Environment variables as `WGPU_BACKEND` are heeded.
    ///
    /// # Errors
    ///
    /// [`Error::NoAdapter`], with the names of those that are there; [`Error::NoDevice`].
    pub async fn open(name: Option<&str>) -> Result<Self, Error> {
        let instance = instance();
        let all = adapters(&instance).await;
        let chosen: Vec<_> = match name {
            None => instance
                .request_adapter(&wgpu::RequestAdapterOptions {
                    power_preference: wgpu::PowerPreference::HighPerformance,
                    ..Default::default()
                })
                .await
                .into_iter()
                .collect(),
            Some(name) => all.iter().filter(|adapter| matches(&adapter.get_info(), name)).cloned().collect(),
        };
        if chosen.is_empty() {
            let found: Vec<_> = all.iter().map(|adapter| label(&adapter.get_info())).collect();
            return Err(Error::NoAdapter {
                wanted: name.map_or("at all".to_owned(), |name| format!("called `{name}`")),
                found: list(found.iter().map(String::as_str)),
            });
        }
        let mut opened = open_each(chosen, 1).await?;
        Ok(opened.swap_remove(0))
    }

    /// [`Self::open`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_blocking(name: Option<&str>) -> Result<Self, Error> {
        pollster::block_on(Self::open(name))
    }

    /// Every adapter that computes, each with a device. One that gives none (a driver that is there without its
    /// hardware, say) is left out, with a warning in the log.
    ///
    /// # Errors
    ///
    /// [`Error::NoDevice`] where there are adapters and none gives a device.
    pub async fn all() -> Result<Vec<Self>, Error> {
        open_each(adapters(&instance()).await, usize::MAX).await
    }
}

/// The first ones that give a device, this many at most. Where there are adapters and none does, the first one's problem
/// is the error.
async fn open_each(adapters: Vec<wgpu::Adapter>, most: usize) -> Result<Vec<Gpu>, Error> {
    let (mut gpus, mut problem) = (Vec::new(), None);
    for adapter in adapters {
        if gpus.len() == most {
            break;
        }
        match Gpu::with_limits(&adapter, limits(&adapter)).await {
            Ok(gpu) => gpus.push(gpu),
            Err(error) => {
                log::warn!("{error}");
                problem = problem.or(Some(error));
            }
        }
    }
    match problem {
        Some(problem) if gpus.is_empty() => Err(problem),
        _ => Ok(gpus),
    }
}

fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env())
}

async fn adapters(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    let mut adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
    adapters.retain(|adapter| {
        let computes = wgpu::DownlevelFlags::COMPUTE_SHADERS;
        adapter.get_downlevel_capabilities().flags.contains(computes)
    });
    adapters
}

/// Storage buffers of a step over eight pairs of borrowed buffers, or seven where something is measured.
const STORAGE_BUFFERS: u32 = 21;

/// wgpu's defaults, with buffers as large as the adapter has them, and as many of them in a dispatch as a step may bind.
fn limits(adapter: &wgpu::Adapter) -> wgpu::Limits {
    let offered = adapter.limits();
    wgpu::Limits {
        max_buffer_size: offered.max_buffer_size,
        max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
        max_storage_buffers_per_shader_stage: STORAGE_BUFFERS,
        ..wgpu::Limits::defaults()
    }
    .or_worse_values_from(&offered)
}

fn matches(info: &wgpu::AdapterInfo, name: &str) -> bool {
    label(info).to_lowercase().contains(&name.to_lowercase())
}
