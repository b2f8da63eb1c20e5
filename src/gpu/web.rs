//! The adapter that a browser offers.

use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::device::Gpu;
use crate::error::Error;

/// A limit of [`Error::Limit`]: its name, and how much is needed.
pub type NeededLimit = (&'static str, u64);

impl Gpu {
    /// Opens the adapter that the browser prefers for heavy work, with the limits that every browser offers and
    /// these beyond them, as far as the adapter has them. With a `(limit, needed)` from [`Error::Limit`] the
    /// optimizer that was refused can be built.
    ///
    /// # Errors
    ///
    /// [`Error::NoWebGpu`], with what is missing; [`Error::NoDevice`].
    pub async fn open_web(needed: &[NeededLimit]) -> Result<Self, Error> {
        let navigator = Reflect::get(&js_sys::global(), &"navigator".into());
        let gpu = navigator.and_then(|navigator| Reflect::get(&navigator, &"gpu".into()));
        if gpu.map_or(true, |gpu| gpu.is_falsy()) {
            return Err(Error::NoWebGpu {
                problem: "this browser has none here; it takes a recent Chrome, Edge, Firefox or Safari, and a \
                          page from https:// or from this machine",
            });
        }
        // wgpu panics where it sees neither.
        let is_there = |name: &str| {
            Reflect::get(&js_sys::global(), &name.into()).is_ok_and(|scope| !scope.is_undefined())
        };
        if !is_there("Window") && !is_there("WorkerGlobalScope") {
            return Err(Error::NoWebGpu {
                problem: "`navigator.gpu` is there, and this is neither a window nor a worker, where wgpu looks for \
                          it; the JavaScript package takes it everywhere",
            });
        }
        // The default descriptor names native backends' settings, which nothing reads here.
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance.request_adapter(&options).await.map_err(|_| Error::NoWebGpu {
            problem: "the browser has it, and found no adapter: it may not support this GPU or its driver \
                      (Chrome says why at chrome://gpu), or graphics acceleration is switched off",
        })?;
        let limits = raised(&adapter.limits(), needed);
        Self::with_limits(&adapter, limits).await
    }

    /// Waits until the device is lost, and says why. A device that the program destroys is lost, too. Who waits does not
    /// keep the device.
    pub fn lost(&self) -> impl Future<Output = String> + use<> {
        let lost =
            self.device.as_webgpu().map(|device| JsFuture::from(Promise::from(JsValue::from(device.lost()))));
        async {
            match lost {
                Some(lost) => lost.await.map_or_else(|problem| format!("{problem:?}"), |info| reason(&info)),
                None => std::future::pending().await,
            }
        }
    }
}

/// The limits that every browser offers, with these raised as far as the adapter goes.
fn raised(offered: &wgpu::Limits, needed: &[NeededLimit]) -> wgpu::Limits {
    let mut limits = wgpu::Limits::defaults();
    for &(name, needed) in needed {
        let count = |now: u32, offered: u32| u64::from(now).max(needed).min(u64::from(offered)) as u32;
        match name {
            "max_storage_buffers_per_shader_stage" => {
                let (now, offered) = (
                    limits.max_storage_buffers_per_shader_stage,
                    offered.max_storage_buffers_per_shader_stage,
                );
                limits.max_storage_buffers_per_shader_stage = count(now, offered);
            }
            "max_buffer_size" => {
                limits.max_buffer_size = limits.max_buffer_size.max(needed).min(offered.max_buffer_size);
            }
            "max_storage_buffer_binding_size" => {
                let now = limits.max_storage_buffer_binding_size;
                limits.max_storage_buffer_binding_size =
                    now.max(needed).min(offered.max_storage_buffer_binding_size);
            }
            // The optimizer asks for no more of any other than every browser offers.
            _ => {}
        }
    }
    limits
}

/// Writes what a new buffer holds. A browser that is short of memory, or whose GPU process is gone, throws where a
/// buffer is to be mapped as it is made, and wgpu panics then: so it is written afterwards.
pub(super) fn fill(device: &wgpu::Device, buffer: &wgpu::Buffer, bytes: &[u8]) {
    // A queue of wgpu's is not at hand.
    if let (Some(device), Some(made)) = (device.as_webgpu(), buffer.as_webgpu()) {
        let written = Reflect::get(&device.into(), &"queue".into()).and_then(|queue| {
            let write: Function = Reflect::get(&queue, &"writeBuffer".into())?.dyn_into()?;
            write.call3(&queue, &made.into(), &JsValue::from(0), &Uint8Array::from(bytes))
        });
        // What the device refuses is an error of the scope around this; a browser that throws gets it back, as from
        // every call of wgpu's, lest zeros stand in the contents' place.
        if let Err(problem) = written {
            wasm_bindgen::throw_val(problem);
        }
    }
}

/// Refuses a device that is lost.
pub(super) async fn check_alive_now(device: &wgpu::Device, doing: &str) -> Result<(), Error> {
    let Some(device) = device.as_webgpu() else { return Ok(()) };
    // A promise that is settled already wins against one that is settled now and comes second.
    let both = Array::of2(&JsValue::from(device.lost()), &Promise::resolve(&JsValue::UNDEFINED));
    match JsFuture::from(Promise::race(&both)).await {
        Ok(info) if info.is_undefined() => Ok(()),
        Ok(info) => Err(Error::DeviceLost { doing: doing.to_owned(), message: reason(&info) }),
        Err(problem) => Err(Error::DeviceLost { doing: doing.to_owned(), message: format!("{problem:?}") }),
    }
}

/// What a `GPUDeviceLostInfo` says.
fn reason(info: &JsValue) -> String {
    let text = |name: &str| Reflect::get(info, &name.into()).ok().and_then(|value| value.as_string());
    let (reason, message) = (text("reason"), text("message"));
    match (reason.as_deref(), message.as_deref()) {
        (Some("destroyed"), None | Some("")) => "it was destroyed".to_owned(),
        (_, None | Some("")) => "the browser gave no reason".to_owned(),
        (_, Some(message)) => message.to_owned(),
    }
}
