//! Burn on an adapter of a name, with a device as Burn itself would ask for it.

use burn::tensor::{Device, wgpu::WgpuSetup};
use lookahead_wgpu::{gpu::Gpu, wgpu};

use crate::peer::Failure;

/// Burn's device, which records gradients as in training.
pub fn open(name: Option<&str>) -> Result<Device, Failure> {
    // Burn chooses adapters by kind, not by name.
    let wanted = Gpu::open_blocking(name)?.info;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let adapter = adapters.into_iter().find(|adapter| adapter.get_info() == wanted);
    let adapter = adapter.ok_or_else(|| format!("{} is gone", wanted.name))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        label: None,
        // All that the adapter has, as CubeCL takes it: it makes its kernels by that.
        required_features: adapter.features().difference(wgpu::Features::MAPPABLE_PRIMARY_BUFFERS),
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        trace: wgpu::Trace::Off,
        // SAFETY: no feature is used here; the program ends soon after Burn has used them.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
    }))?;
    let setup = WgpuSetup { instance, backend: wanted.backend, adapter, device, queue };
    let device = Device::wgpu_options().setup(setup).init().map_err(|problem| format!("Burn: {problem}"))?;
    Ok(device.autodiff())
}
