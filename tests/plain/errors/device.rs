//! Adapters and devices that are not there, not there any more, or another one.

use lookahead_wgpu::{Field, Slice, gpu::Gpu, wgpu};

use super::{Noop, check, lookahead, sgd};

#[test]
fn an_adapter_that_is_not_there() {
    let error = Gpu::open_blocking(Some("No Such Adapter")).unwrap_err();
    check(error, "NoAdapter", &["No Such Adapter", "found: ", "Install a driver"]);
}

fn adapter() -> wgpu::Adapter {
    let options = wgpu::BackendOptions { noop: wgpu::NoopBackendOptions::enabled(), ..Default::default() };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::NOOP,
        backend_options: options,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    pollster::block_on(instance.request_adapter(&Default::default())).unwrap()
}

#[test]
fn an_adapter_that_gives_no_device() {
    let limits = wgpu::Limits { max_bind_groups: u32::MAX, ..wgpu::Limits::defaults() };
    let error = pollster::block_on(Gpu::with_limits(&adapter(), limits)).unwrap_err();
    check(error, "NoDevice", &["the adapter `noop wgpu backend", "max_bind_groups"]);
}

#[test]
fn a_buffer_of_another_device() {
    let adapter = adapter();
    let device = || {
        let (device, queue) = pollster::block_on(adapter.request_device(&Default::default())).unwrap();
        Noop { device, queue }
    };
    let (noop, other) = (device(), device());
    let theirs = other.buffer(64, wgpu::BufferUsages::STORAGE);
    let weights = sgd().borrowed("w", &[4], Slice::new(&theirs, 0, 16));
    check(noop.refuse(weights), "Device", &["the device refused the optimizer's buffers"]);
    let ours = noop.buffer(64, wgpu::BufferUsages::STORAGE);
    let optimizer = noop.build(sgd().borrowed("w", &[4], Slice::new(&ours, 0, 16)));
    let gradients = [("w", Slice::new(&theirs, 0, 16))];
    let error = optimizer.borrow_gradients_blocking(&gradients).unwrap_err();
    check(error, "Device", &["the device refused the gradients' bind groups"]);
}

#[test]
fn a_device_that_is_lost() {
    let noop = Noop::new();
    let mut optimizer = noop.build(lookahead(2, 0.5));
    noop.step(&mut optimizer).unwrap();
    noop.device.destroy();
    let told = ["the device was lost", "`import` the last snapshot"];
    check(optimizer.download_blocking(Field::Weights, "w").unwrap_err(), "DeviceLost", &told);
    check(optimizer.export_blocking().unwrap_err(), "DeviceLost", &told);
    // What only records or enqueues waits for no answer. It does not panic, and is an error once the steps
    // need another buffer.
    optimizer.upload("w", &[0.0; 3]).unwrap();
    let error = (0..600).find_map(|_| noop.step(&mut optimizer).err()).unwrap();
    check(error, "DeviceLost", &told);
    let error = noop.refuse(lookahead(2, 0.5));
    check(error, "DeviceLost", &told);
}
