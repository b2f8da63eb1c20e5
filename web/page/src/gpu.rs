//! A device of the browser's, and word of its loss.

use js_sys::Function;
use lookahead_wgpu::Error;
use lookahead_wgpu::gpu::Gpu;
use std::sync::Arc;
use wasm_bindgen::JsValue;

/// Opens a device. Where it gets lost, `on_lost` is called with the browser's reason.
pub async fn open(on_lost: Function) -> Result<Gpu, Error> {
    let gpu = Gpu::open_web(&[]).await?;
    gpu.device.on_uncaptured_error(Arc::new(|problem: wgpu::Error| {
        web_sys::console::error_1(&problem.to_string().into());
    }));
    let lost = gpu.lost();
    wasm_bindgen_futures::spawn_local(async move {
        let reason = lost.await;
        // What the listener throws, the browser has reported.
        let _ = on_lost.call1(&JsValue::NULL, &reason.into());
    });
    Ok(gpu)
}
