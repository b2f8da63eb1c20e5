//! Which cut of the kernels suits an adapter.

use crate::config::shape::Shape;

impl From<&wgpu::AdapterInfo> for Shape {
    /// By the adapter's kind.
    fn from(info: &wgpu::AdapterInfo) -> Self {
        if info.device_type != wgpu::DeviceType::Cpu {
            return Self::GPU;
        }
        // It compiles long kernels badly: four vec4s a thread take 1.7 times as long there as one. Browsers compute with it
        // where they have no GPU.
        let is_swiftshader =
            info.backend == wgpu::Backend::BrowserWebGpu || info.name.to_lowercase().contains("swiftshader");
        if is_swiftshader { Self { workgroup: 256, vec4s: 1, ..Self::CPU } } else { Self::CPU }
    }
}
