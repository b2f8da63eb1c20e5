//! How a layout is cut by a device's limits: arithmetic of the host alone.

use lookahead_wgpu::{Error, Field, Lookahead, Optimizer, rules::Adam, wgpu};

#[test]
fn a_tensor_larger_than_a_binding_has_several_slices() {
    let required_limits = wgpu::Limits {
        max_buffer_size: 64 << 10,
        max_storage_buffer_binding_size: 16 << 10,
        ..wgpu::Limits::defaults()
    };
    let (device, queue) =
        wgpu::Device::noop(&wgpu::DeviceDescriptor { required_limits, ..Default::default() });
    let optimizer = Optimizer::builder(Adam::new(0.01))
        .tensor("w", &[10_000])
        .tensor("b", &[3])
        .build_blocking(&device, &queue)
        .unwrap();
    assert_eq!(optimizer.weights("w"), Err(Error::Split { tensor: "w".to_owned(), pieces: 3 }));
    let sizes: Vec<u64> =
        optimizer.buffers(Field::Weights, "w").unwrap().iter().map(|slice| slice.size / 4).collect();
    assert_eq!(sizes, [4096, 4096, 1808]);
    assert_eq!(optimizer.weights("b").unwrap().offset % 256, 0);
}

#[test]
fn the_defaults_of_webgpu_hold_128_mib_and_more() {
    // 161 MiB of weights under the default limits.
    let descriptor =
        wgpu::DeviceDescriptor { required_limits: wgpu::Limits::defaults(), ..Default::default() };
    let (device, queue) = wgpu::Device::noop(&descriptor);
    let optimizer = Optimizer::builder(Adam::new(0.01))
        .lookahead(Lookahead::default())
        .tensor("embedding", &[40_000, 1024])
        .tensor("head", &[1024, 1000])
        .build_blocking(&device, &queue)
        .unwrap();
    assert_eq!(optimizer.buffers(Field::Weights, "embedding").unwrap().len(), 2);
    assert!(
        optimizer.buffers(Field::Weights, "embedding").unwrap().iter().all(|slice| slice.size <= 128 << 20)
    );
}
