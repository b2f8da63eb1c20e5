//! Burn's devices, with gradients.

use std::sync::OnceLock;

use burn::tensor::{Device, DeviceKind, wgpu::WgpuSetup};

/// Does this on every device that tests run on.
pub fn on_devices(test: impl Fn(&Device)) {
    test(&Device::flex().autodiff());
    test(&gpu().0.clone().autodiff());
}

/// Burn's wgpu device, without gradients, and what it is made of. One for all tests: Burn initialises one once.
pub fn gpu() -> &'static (Device, WgpuSetup) {
    static GPU: OnceLock<(Device, WgpuSetup)> = OnceLock::new();
    GPU.get_or_init(|| {
        let options = Device::wgpu_options().device_kind(DeviceKind::DefaultDevice);
        let (device, setup) = options.init_with_setup().unwrap();
        println!("{:?}", setup.adapter.get_info());
        (device, setup)
    })
}
