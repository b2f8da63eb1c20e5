//! A device of the browser's, and word of its loss.

use futures::StreamExt;
use futures::channel::mpsc;
use js_sys::Function;
use std::sync::Arc;
use wasm_bindgen::JsValue;

/// A device and its queue.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
}

/// There is no device.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// The browser offers no GPU.
    #[error("the browser offers no GPU: {0}")]
    NoAdapter(#[from] wgpu::RequestAdapterError),
    /// The GPU gives no device.
    #[error("the GPU gives no device: {0}")]
    NoDevice(#[from] wgpu::RequestDeviceError),
}

impl Gpu {
    /// Opens a device. Where it gets lost, `on_lost` is called with the browser's reason.
    pub async fn open(on_lost: Function) -> Result<Self, GpuError> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::BROWSER_WEBGPU,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let adapter = instance
            .request_adapter(&wgpu::RequestAdapterOptions {
                power_preference: wgpu::PowerPreference::HighPerformance,
                ..Default::default()
            })
            .await?;
        let offered = adapter.limits();
        let limits = wgpu::Limits {
            max_buffer_size: offered.max_buffer_size,
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            ..wgpu::Limits::defaults()
        };
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("lookahead page"),
                required_limits: limits.or_worse_values_from(&offered),
                ..Default::default()
            })
            .await?;
        device.on_uncaptured_error(Arc::new(|problem: wgpu::Error| {
            web_sys::console::error_1(&problem.to_string().into());
        }));
        // The callback must be able to change threads, and a JavaScript function is not.
        let (sender, mut lost) = mpsc::unbounded();
        device.set_device_lost_callback(move |_, message| {
            // Nobody listens any more where the page is gone.
            let _ = sender.unbounded_send(message);
        });
        wasm_bindgen_futures::spawn_local(async move {
            if let Some(message) = lost.next().await {
                // What the listener throws, the browser has reported.
                let _ = on_lost.call1(&JsValue::NULL, &message.into());
            }
        });
        Ok(Self { device, queue })
    }
}
