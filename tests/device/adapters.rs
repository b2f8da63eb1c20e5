//! Which adapters the other tests run on.

use crate::common::gpus;
use lookahead_wgpu::{gpu::Gpu, wgpu::Backend};

#[test]
fn the_adapters_that_are_required_open() {
    let gpus = gpus();
    for gpu in gpus {
        println!("adapter: {}", gpu.label());
    }
    let Ok(required) = std::env::var("LOOKAHEAD_REQUIRE_ADAPTERS") else { return };
    for name in required.split(',').filter(|name| !name.is_empty()) {
        let (prefix, backend) = match name {
            "llvmpipe-vulkan" => ("llvmpipe", Backend::Vulkan),
            "swiftshader" => ("SwiftShader", Backend::Vulkan),
            "llvmpipe-gl" => ("llvmpipe", Backend::Gl),
            other => panic!("unknown adapter `{other}` in LOOKAHEAD_REQUIRE_ADAPTERS"),
        };
        let is_it = |gpu: &&Gpu| gpu.info.name.starts_with(prefix) && gpu.info.backend == backend;
        assert!(gpus.iter().any(|gpu| is_it(&gpu)), "the adapter `{name}` is required and missing");
    }
}
