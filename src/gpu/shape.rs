//! Which cut of the kernels suits an adapter.

use crate::config::shape::Shape;

impl From<&wgpu::AdapterInfo> for Shape {
    /// By the adapter's kind.
    fn from(info: &wgpu::AdapterInfo) -> Self {
        if info.device_type != wgpu::DeviceType::Cpu {
            return Self::GPU;
        }
        let is_swiftshader =
            info.backend == wgpu::Backend::BrowserWebGpu || info.name.to_lowercase().contains("swiftshader");
        if is_swiftshader { Self::SWIFTSHADER } else { Self::CPU }
    }
}
