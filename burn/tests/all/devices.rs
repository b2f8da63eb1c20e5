//! Burn's devices, with gradients. The variable `LOOKAHEAD_BURN_API` tells which API the one on wgpu has: `vulkan`, `opengl`,
//! or what Burn chooses.

use std::sync::OnceLock;

use burn::tensor::{
    Device, DeviceKind,
    wgpu::{WgpuBackend, WgpuSetup},
};

/// Does this on every device that tests run on.
pub fn on_devices(test: impl Fn(&Device)) {
    test(&Device::flex().autodiff());
    test(&gpu().0.clone().autodiff());
}

/// Burn's wgpu device, without gradients, and what it is made of. One for all tests: Burn initialises one once.
pub fn gpu() -> &'static (Device, WgpuSetup) {
    static GPU: OnceLock<(Device, WgpuSetup)> = OnceLock::new();
    GPU.get_or_init(|| {
        let api = match std::env::var("LOOKAHEAD_BURN_API").as_deref() {
            Ok("opengl") => WgpuBackend::Gl,
            Ok("vulkan") => WgpuBackend::Vulkan,
            Ok(other) => panic!("LOOKAHEAD_BURN_API is {other}: give vulkan or opengl"),
            Err(_) => WgpuBackend::Auto,
        };
        let options = Device::wgpu_options().device_kind(DeviceKind::DefaultDevice).graphics_api(api);
        let (device, setup) = options.init_with_setup().unwrap();
        println!("{:?}", setup.adapter.get_info());
        (device, setup)
    })
}
